//! Which languages a person reads, and an app's name or link in one of them (OpenID Connect Registration 1.0 §2.1). Our own words are English.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;

use crate::config::is_language_tag;

/// More languages than a person reads.
const MOST: usize = 10;

/// Language tags, the best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Languages(Vec<String>);

impl Languages {
    /// What the app says that the person reads (`ui_locales`, OpenID Connect Core §3.1.2.1), then what the browser says.
    pub fn of(ui_locales: Option<&str>, headers: &HeaderMap) -> Self {
        let app = ui_locales.unwrap_or_default().split(' ').map(str::to_owned);
        let tags = app.chain(accepted(headers)).filter(|tag| is_language_tag(tag));
        Self(tags.take(MOST).collect())
    }

    /// `member` in the first language that the app has: exactly, or without the language's last parts (RFC 4647 §3.4). What the app says
    /// without a language comes next, and whatever there is comes last.
    pub fn choose<'a>(&self, member: &str, plain: Option<&'a str>, localized: &'a BTreeMap<String, String>) -> Option<&'a str> {
        let given = |tag: &str| {
            let is_it = |name: &str| name.split_once('#').is_some_and(|(of, its)| of == member && its.eq_ignore_ascii_case(tag));
            localized.iter().find(|(name, _)| is_it(name)).map(|(_, text)| text.as_str())
        };
        let any = || localized.iter().find(|(name, _)| name.split_once('#').is_some_and(|(of, _)| of == member));
        self.0
            .iter()
            .find_map(|tag| shorter_and_shorter(tag).find_map(given))
            .or(plain)
            .or_else(|| any().map(|(_, text)| text.as_str()))
    }
}

/// The tags of `Accept-Language` (RFC 9110 §12.5.4), the best first. `*` and what is not wanted (`q=0`) are left out.
fn accepted(headers: &HeaderMap) -> Vec<String> {
    let line = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut tags: Vec<(f32, &str)> = line
        .split(',')
        .take(2 * MOST)
        .filter_map(|range| {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let weight = weight.trim().strip_prefix("q=")?.parse::<f32>().ok()?;
            (weight > 0.0 && weight <= 1.0).then_some((weight, tag.trim()))
        })
        .collect();
    // Stable: of equal weight, the first named is the better.
    tags.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    tags.into_iter().map(|(_, tag)| tag.to_owned()).collect()
}

/// `zh-Hant-TW`, `zh-Hant`, `zh`.
fn shorter_and_shorter(tag: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(tag), |tag| tag.rsplit_once('-').map(|(shorter, _)| shorter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ui_locales: Option<&str>, accepts: &str) -> Option<&'static str> {
        static NAMES: std::sync::LazyLock<BTreeMap<String, String>> = std::sync::LazyLock::new(|| {
            [
                ("client_name#de", "Hauptbuch"),
                ("client_name#pt-BR", "Razão"),
                ("logo_uri#fr", "x"),
                ("client_name#zh-Hant", "分類帳"),
            ]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into()
        });
        let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, accepts.parse().unwrap())]);
        Languages::of(ui_locales, &headers).choose("client_name", Some("Ledger"), &NAMES)
    }

    #[test]
    fn a_name_is_in_the_persons_language_where_there_is_one() {
        for (ui_locales, accepts, expected) in [
            (None, "", "Ledger"),
            (None, "de", "Hauptbuch"),
            (None, "DE-at;q=0.5, en;q=0.4", "Hauptbuch"),
            (None, "pt", "Ledger"),
            (None, "pt-br", "Razão"),
            (None, "fr, de;q=0.9", "Hauptbuch"),
            (None, "de;q=0.1, pt-BR;q=0.9", "Razão"),
            (None, "de;q=0, *", "Ledger"),
            (None, "de;q=NaN, de;q=2, de;x", "Ledger"),
            (Some("zh-Hant-TW"), "de", "分類帳"),
            (Some("fr en"), "de", "Hauptbuch"),
            (Some("../.. \u{1} de"), "", "Hauptbuch"),
        ] {
            assert_eq!(chosen(ui_locales, accepts), Some(expected), "{ui_locales:?} {accepts}");
        }
    }

    #[test]
    fn an_app_with_names_in_other_languages_alone_has_one() {
        let names = BTreeMap::from([("client_name#de".to_owned(), "Hauptbuch".to_owned())]);
        assert_eq!(Languages::default().choose("client_name", None, &names), Some("Hauptbuch"));
        assert_eq!(Languages::default().choose("logo_uri", None, &names), None);
    }
}
