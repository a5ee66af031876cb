//! Which `client_id`s are addresses of metadata documents (OAuth Client ID Metadata Document §3).

use url::Url;

use crate::model::redirect_uri::has_uri_characters;

/// As long as any other `client_id`.
const LONGEST: usize = 255;

/// Whether `id` is an https URL with a host and a path, without user name, fragment and dot segments, written in the only way that is
/// normal: lower case, no `:443`. Two such are the same only if they are the same characters, and what a person reads is where it is
/// fetched. With `http`, `http` URLs are as good: where an operator allowed networks of their own.
pub(super) fn is_document_url(id: &str, http: bool) -> bool {
    let Ok(url) = Url::parse(id) else { return false };
    id.len() <= LONGEST
        && has_uri_characters(id)
        && (url.scheme() == "https" || (http && url.scheme() == "http"))
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        // Parsing takes dot segments out, `%2e%2e` too, and adds the path that is missing.
        && url.as_str() == id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_an_https_address_in_its_normal_form() {
        for id in [
            "https://app.example/client.json",
            "https://app.example/",
            "https://app.example:8443/a/b?c=d",
            "https://xn--pp-fka.example/client",
            "https://app.example/%7Ea/..b/.c/d.",
        ] {
            assert!(is_document_url(id, false), "{id}");
        }
        let long = format!("https://app.example/{}", "a".repeat(236));
        for id in [
            "app",
            "",
            "0196f1a2-0000-7000-8000-000000000000",
            "https://app.example",
            "https:app.example/client",
            "https:/app.example/client",
            "https:///app.example/client",
            "https://app.example:443/client",
            "https://app.example:/client",
            "https://APP.example/client",
            "HTTPS://app.example/client",
            "https://app.example/a/../client",
            "https://app.example/a/./client",
            "https://app.example/a/%2e%2E/client",
            "https://app.example/a/..",
            "https://app.example/client#",
            "https://app.example/client#a",
            "https://user@app.example/client",
            "https://@app.example/client",
            "https://:@app.example/client",
            "https://app.example\\client",
            "https://app.example/client\\",
            "https://%61pp.example/client",
            "https://127.1/client",
            "https://0x7f000001/client",
            "https://\u{e4}pp.example/client",
            "https://app.example/cl ient",
            " https://app.example/client",
            "https://app.example/client\n",
            "http://app.example/client",
            "ftp://app.example/client",
            "javascript:alert(1)//a/b",
            &long,
        ] {
            assert!(!is_document_url(id, false), "{id}");
        }
        assert!(is_document_url("http://127.0.0.1:9000/client", true) && !is_document_url("ftp://127.0.0.1:9000/client", true));
    }
}
