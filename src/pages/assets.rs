//! The style sheet, the scripts and the icon, embedded in the binary. Their paths carry a hash of their content, so that a browser may
//! keep them for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// The one style sheet of all pages.
pub const STYLE: &str = include_str!("../../static/style.css");

/// Sends the form of a `form_post` response on (OAuth 2.0 Form Post Response Mode 1.0 §2).
pub const SUBMIT: &str = include_str!("../../static/submit.js");

/// Goes on from the signed-out page once its frames are loaded.
pub const ONWARD: &str = include_str!("../../static/onward.js");

/// The mark, as an SVG document.
pub const FAVICON: &str = include_str!("../../static/favicon.svg");

/// Where `STYLE` is served.
pub static STYLE_PATH: LazyLock<String> = LazyLock::new(|| path("style", "css", STYLE));

/// Where `SUBMIT` is served.
pub static SUBMIT_PATH: LazyLock<String> = LazyLock::new(|| path("submit", "js", SUBMIT));

/// Where `ONWARD` is served.
pub static ONWARD_PATH: LazyLock<String> = LazyLock::new(|| path("onward", "js", ONWARD));

/// Where `FAVICON` is served.
pub static FAVICON_PATH: LazyLock<String> = LazyLock::new(|| path("favicon", "svg", FAVICON));

/// `GET /static/{file}`
pub async fn get(Path(file): Path<String>) -> Response {
    let files = [
        (&STYLE_PATH, "text/css; charset=utf-8", STYLE),
        (&SUBMIT_PATH, "text/javascript; charset=utf-8", SUBMIT),
        (&ONWARD_PATH, "text/javascript; charset=utf-8", ONWARD),
        (&FAVICON_PATH, "image/svg+xml", FAVICON),
    ];
    match files.into_iter().find(|(path, ..)| path.strip_prefix("/static/") == Some(&file)) {
        Some((_, content_type, content)) => {
            ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")], content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn path(name: &str, extension: &str, content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("/static/{name}.{hash}.{extension}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn paths_follow_the_content() {
        assert_ne!(path("style", "css", "a"), path("style", "css", "b"));
        assert_eq!(path("style", "css", ""), "/static/style.e3b0c44298fc1c14.css");
    }

    #[test]
    fn the_style_sheet_stays_small_and_asks_nobody_else() {
        assert!(STYLE.len() < 12 * 1024, "{} bytes", STYLE.len());
        assert!(!STYLE.contains("http") && !STYLE.contains("@import"));
    }

    /// `--name: #rrggbb;` lines of a block.
    fn colours(block: &str) -> HashMap<&str, [f64; 3]> {
        let channel = |hex: &str| f64::from(u8::from_str_radix(hex, 16).unwrap()) / 255.0;
        block
            .lines()
            .filter_map(|line| line.trim().strip_prefix("--")?.strip_suffix(';')?.split_once(": #"))
            .map(|(name, hex)| (name, [channel(&hex[0..2]), channel(&hex[2..4]), channel(&hex[4..6])]))
            .collect()
    }

    /// WCAG 2.2, "contrast ratio".
    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
        let luminance = |[r, g, b]: [f64; 3]| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// WCAG 2.2: 1.4.3 asks 4.5 of text, 1.4.11 asks 3 of borders of inputs, icons and the focus ring.
    #[test]
    fn colours_can_be_told_apart_in_light_and_dark() {
        let (light, rest) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
        let dark = rest.split_once("\n}").unwrap().0;
        let pairs = [
            ("text", "page", 4.5),
            ("text", "card", 4.5),
            ("quiet", "page", 4.5),
            ("quiet", "card", 4.5),
            ("quiet", "inset", 4.5),
            ("text", "inset", 4.5),
            ("link", "card", 4.5),
            ("link", "page", 4.5),
            ("link", "inset", 4.5),
            ("link", "accent-wash", 4.5),
            ("text", "accent-wash", 4.5),
            ("on-accent", "accent", 4.5),
            ("on-accent", "accent-hover", 4.5),
            ("danger", "card", 4.5),
            ("danger", "danger-wash", 4.5),
            ("text", "danger-wash", 4.5),
            ("text", "good-wash", 4.5),
            ("danger", "page", 4.5),
            ("input-line", "field", 3.0),
            ("input-line", "card", 3.0),
            ("accent", "card", 3.0),
            ("focus", "card", 3.0),
            ("focus", "page", 3.0),
        ];
        for (mode, block) in [("light", light), ("dark", dark)] {
            let colours = colours(block);
            for (front, back, least) in pairs {
                let ratio = contrast(colours[front], colours[back]);
                println!("{mode:5} {front:>12} on {back:<12} {ratio:5.2} (at least {least})");
                assert!(ratio >= least, "{mode}: {front} on {back} is {ratio:.2}, wants {least}");
            }
        }
    }
}
