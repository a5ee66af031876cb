//! Which clients know a person by the same pairwise subject (OpenID Connect Core §8.1).

use std::collections::BTreeSet;

use url::Url;

use super::client::{ClientMetadata, SubjectType};
use super::redirect_uri::is_loopback;

/// The sector identifier of a client: the host of its `sector_identifier_uri`, else the one host that all its redirect URIs have. None if
/// there is no such host: the client must register a `sector_identifier_uri` then. A loopback address is everybody's, and so no sector:
/// apps that have nothing to do with each other are reached there.
pub fn sector(metadata: &ClientMetadata) -> Option<String> {
    if let Some(uri) = &metadata.sector_identifier_uri {
        return host(uri);
    }
    let hosts: BTreeSet<Option<String>> = metadata
        .redirect_uris
        .iter()
        .map(|uri| host(uri).filter(|_| !Url::parse(uri).is_ok_and(|url| is_loopback(&url))))
        .collect();
    match Vec::from_iter(hosts).as_mut_slice() {
        [only] => only.take(),
        _ => None,
    }
}

/// Whether a client with either metadata knows each person by the same `sub`.
pub fn same_subjects(one: &ClientMetadata, other: &ClientMetadata) -> bool {
    one.subject_type == other.subject_type && (one.subject_type == SubjectType::Public || sector(one) == sector(other))
}

/// As a URL parser writes it: lower case, internationalized names in ASCII, no port.
fn host(uri: &str) -> Option<String> {
    Url::parse(uri).ok()?.host_str().filter(|host| !host.is_empty()).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sector_is_one_host() {
        let table: [(&str, &[&str], Option<&str>); 17] = [
            ("", &["https://app.example/cb"], Some("app.example")),
            ("", &["https://app.example/cb", "https://APP.example:8443/other"], Some("app.example")),
            ("", &["https://app.example/cb", "https://other.example/cb"], None),
            ("", &["https://app.example/cb", "https://sub.app.example/cb"], None),
            ("", &["https://app.example/cb", "com.example.app:/cb"], None),
            ("", &["com.example.app:/cb"], None),
            ("", &["com.example.app:/cb", "com.example.app:/other"], None),
            ("", &[], None),
            ("https://sector.example/list.json", &["https://app.example/cb", "https://other.example/cb"], Some("sector.example")),
            ("https://Bücher.example/list.json", &[], Some("xn--bcher-kva.example")),
            ("not a uri", &["https://app.example/cb"], None),
            ("", &["not a uri"], None),
            ("", &["http://127.0.0.1/cb"], None),
            ("", &["http://[::1]:8080/cb"], None),
            ("", &["http://localhost/cb", "http://localhost:3000/cb"], None),
            ("", &["https://app.example/cb", "http://127.0.0.1/cb"], None),
            ("https://app.example/list.json", &["http://127.0.0.1/cb"], Some("app.example")),
        ];
        for (uri, redirects, expected) in table {
            let metadata = ClientMetadata {
                sector_identifier_uri: Some(uri.to_owned()).filter(|uri| !uri.is_empty()),
                redirect_uris: redirects.iter().map(|uri| (*uri).to_owned()).collect(),
                ..ClientMetadata::default()
            };
            assert_eq!(sector(&metadata).as_deref(), expected, "{uri} {redirects:?}");
        }
    }

    #[test]
    fn subjects_stay_while_type_and_sector_do() {
        let client = |subject_type, uri: &str| ClientMetadata {
            subject_type,
            redirect_uris: vec![uri.to_owned()],
            ..ClientMetadata::default()
        };
        let (public, pairwise) = (SubjectType::Public, SubjectType::Pairwise);
        let of = client(pairwise, "https://a.example/cb");
        assert!(same_subjects(&of, &client(pairwise, "https://a.example/other")));
        assert!(!same_subjects(&of, &client(pairwise, "https://b.example/cb")));
        assert!(!same_subjects(&of, &client(public, "https://a.example/cb")));
        assert!(same_subjects(&client(public, "https://a.example/cb"), &client(public, "https://b.example/cb")));
    }
}
