//! `tessera key`.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection, SqliteConnection};

use super::{installation, tessera};
use crate::harness::process::Process;
use crate::harness::redis::free_port;

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
    let list = tessera(folder, &["key", "list"]).succeeded();
    assert!(
        list.lines().next().unwrap().starts_with("kid") && list.contains("signs 20") && list.contains("deleted 20"),
        "{list}"
    );
    for key in keys(folder) {
        let next = match key["state"].as_str().unwrap() {
            "upcoming" => "signs",
            "active" => "retires",
            "retiring" => "deleted",
            _ => "",
        };
        assert_eq!(key["next"].as_str().unwrap_or_default(), next, "{key}");
        assert_eq!(key["next_at"].is_string(), !next.is_empty(), "{key}");
    }
}

/// By the real clock: what is overdue when the provider starts is done within seconds, and the metrics say so.
#[tokio::test]
async fn a_provider_that_was_down_rotates_when_it_is_back() {
    let folder = installation();
    let folder = folder.path();
    let (successor, port, metrics) = (kid(folder, "RS256", "upcoming"), free_port(), free_port());
    let url = format!("sqlite:{}", folder.join("data/tessera.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("UPDATE signing_keys SET created_at = 1, activated_at = activated_at - activated_at + 1 WHERE alg = 'RS256'")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let listen = format!("127.0.0.1:{metrics}");
    let provider = Process::serve(folder, port, &[("TESSERA_METRICS_LISTEN", &listen)]).await;
    let told = provider.line_with("KeyActivated").await;
    assert!(told.contains(&successor) && told.contains("\"provider\""), "{told}");
    let seconds = async |name: &str, alg: &str| {
        let text = reqwest::get(format!("http://{listen}/metrics")).await.unwrap().text().await.unwrap();
        let line =
            text.lines().find(|line| line.starts_with(&format!("{name}{{alg=\"{alg}\"}}"))).unwrap_or_else(|| panic!("{text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let rotated = async {
        while seconds("tessera_signing_key_age_seconds", "RS256").await > 1e6 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), rotated).await.expect("the new key is in use");
    for alg in ["RS256", "ES256"] {
        let left = seconds("tessera_signing_key_rotation_seconds", alg).await;
        assert!((29.0 * 86_400.0..=30.0 * 86_400.0).contains(&left), "{alg}: {left}");
    }
    assert_eq!(kid(folder, "RS256", "active"), successor);
    kid(folder, "RS256", "upcoming");
    assert!(!provider.log().iter().any(|line| line.contains("periodic work failed")));
}
