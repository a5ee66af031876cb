//! `tessera key`.

use std::path::Path;

use serde_json::Value;

use super::{installation, tessera};

pub fn keys(folder: &Path) -> Vec<Value> {
    tessera(folder, &["key", "list", "--json"]).json().as_array().unwrap().clone()
}

pub fn kid(folder: &Path, alg: &str, state: &str) -> String {
    let found: Vec<Value> = keys(folder).into_iter().filter(|key| key["alg"] == alg && key["state"] == state).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]["kid"].as_str().unwrap().to_owned()
}

#[test]
fn keys_rotate_and_are_revoked() {
    let folder = installation();
    let folder = folder.path();
    assert_eq!(keys(folder).len(), 4, "a signer and its successor for each algorithm");
    let (active, upcoming) = (kid(folder, "ES256", "active"), kid(folder, "ES256", "upcoming"));

    let said = tessera(folder, &["key", "rotate", "--alg", "ES256"]).failed(1);
    assert!(said.contains(&upcoming) && said.contains("--now") && said.contains("refuse"), "{said}");
    assert_eq!(kid(folder, "ES256", "active"), active, "a successor that is too young does not sign");

    let rotated = tessera(folder, &["key", "rotate", "--alg", "ES256", "--now", "--json"]);
    assert!(rotated.err.contains("warning: "), "{rotated:?}");
    assert_eq!(rotated.json(), serde_json::json!([{ "alg": "ES256", "kid": upcoming }]));
    assert_eq!((kid(folder, "ES256", "active"), kid(folder, "ES256", "retiring")), (upcoming.clone(), active));
    let next = kid(folder, "ES256", "upcoming");

    tessera(folder, &["key", "revoke", &upcoming]).failed(2);
    tessera(folder, &["key", "revoke", &upcoming, "--yes"]).succeeded();
    assert_eq!(
        (kid(folder, "ES256", "revoked"), kid(folder, "ES256", "active")),
        (upcoming.clone(), next),
        "its successor signs"
    );
    assert!(tessera(folder, &["key", "revoke", &upcoming, "--yes"]).succeeded().contains("before"));
    tessera(folder, &["key", "revoke", "bananas", "--yes"]).failed(3);
    assert!(tessera(folder, &["key", "list"]).succeeded().lines().next().unwrap().starts_with("kid"));
}
