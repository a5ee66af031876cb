//! `tessera client`.

use std::fs;

use serde_json::json;
use tessera::clock::Timestamp;
use tessera::model::LogoutDelivery;
use tessera::store::logout_deliveries;

use super::{installation, tessera};
use crate::harness::engines::TestDatabase;

#[test]
fn a_client_from_beginning_to_end() {
    let folder = installation();
    let folder = folder.path();
    let add = ["client", "add", "--id", "shop", "--name", "Shop", "--redirect-uri", "https://shop.example/cb", "--json"];
    let added = tessera(folder, &add).json();
    let secret = added["client_secret"].as_str().unwrap().to_owned();
    assert_eq!((&added["client_id"], secret.len()), (&"shop".into(), 43));
    assert!(tessera(folder, &add).failed(1).contains("already"));

    let shown = tessera(folder, &["client", "show", "shop", "--json"]).json();
    assert_eq!(shown["redirect_uris"], serde_json::json!(["https://shop.example/cb"]));
    assert_eq!((&shown["token_endpoint_auth_method"], &shown["has_secret"]), (&"client_secret_basic".into(), &true.into()));

    let update = ["client", "update", "shop", "--audience", "https://api.example", "--access-token-lifetime", "300"];
    tessera(folder, &update).succeeded();
    let mut expected = shown.clone();
    expected["audiences"] = serde_json::json!(["https://api.example"]);
    expected["access_token_lifetime"] = 300.into();
    let mut updated = tessera(folder, &["client", "show", "shop", "--json"]).json();
    updated["updated_at"] = shown["updated_at"].clone();
    assert_eq!(updated, expected, "only what was given changes");

    let refused =
        tessera(folder, &["client", "update", "shop", "--redirect-uri", "http://shop.example/", "--scope", "openid bananas"]);
    let said = refused.failed(1);
    assert!(said.contains("redirect_uris: ") && said.contains("scope: "), "every rule at once: {said}");
    assert_eq!(tessera(folder, &["client", "show", "shop", "--json"]).json()["scope"], shown["scope"]);
    tessera(folder, &["client", "update", "shop"]).failed(2);

    let rotated = tessera(folder, &["client", "rotate-secret", "shop", "--json"]).json();
    let new_secret = rotated["client_secret"].as_str().unwrap();
    assert_ne!(new_secret, secret);
    for show in [
        ["client", "show", "shop", "--json"].as_slice(),
        &["client", "list", "--json"],
        &["client", "list"],
        &["client", "show", "shop"],
    ] {
        let out = tessera(folder, show).succeeded();
        assert!(!out.contains(&secret) && !out.contains(new_secret), "a secret is shown once");
    }

    let disabled = |folder| tessera(folder, &["client", "show", "shop", "--json"]).json()["disabled_at"].is_string();
    tessera(folder, &["client", "disable", "shop"]).succeeded();
    assert!(disabled(folder));
    tessera(folder, &["client", "enable", "shop"]).succeeded();
    assert!(!disabled(folder));
    tessera(folder, &["client", "delete", "shop"]).failed(2);
    tessera(folder, &["client", "delete", "shop", "--yes"]).succeeded();
    tessera(folder, &["client", "show", "shop"]).failed(3);
}

#[test]
fn a_public_client_has_no_secret_until_it_is_confidential() {
    let folder = installation();
    let folder = folder.path();
    let add =
        ["client", "add", "--id", "spa", "--name", "Notes", "--public", "--redirect-uri", "https://notes.example/cb", "--json"];
    assert_eq!(tessera(folder, &add).json(), serde_json::json!({ "client_id": "spa" }));
    assert!(tessera(folder, &["client", "rotate-secret", "spa"]).failed(1).contains("has no secret"));
    let confidential = ["client", "update", "spa", "--auth-method", "client_secret_basic", "--json"];
    assert!(tessera(folder, &confidential).json()["client_secret"].is_string());
    tessera(folder, &["client", "update", "spa", "--public"]).succeeded();
    assert_eq!(tessera(folder, &["client", "show", "spa", "--json"]).json()["has_secret"], false);
}

#[test]
fn a_client_by_its_keys() {
    let folder = installation();
    let folder = folder.path();
    let jwks = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;
    fs::write(folder.join("jwks.json"), jwks).unwrap();
    fs::write(
        folder.join("private.json"),
        jwks.replace("\"kid\"", "\"d\":\"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE\",\"kid\""),
    )
    .unwrap();
    let add = |file: &str| {
        tessera(
            folder,
            &[
                "client",
                "add",
                "--id",
                "svc",
                "--name",
                "Service",
                "--grant",
                "client_credentials",
                "--auth-method",
                "private_key_jwt",
                "--jwks",
                file,
                "--json",
            ],
        )
    };
    let said = add("private.json").failed(1);
    assert!(said.contains("private.json") && said.contains("`d`") && !said.contains("870MB6"), "{said}");
    add("missing.json").failed(1);
    assert_eq!(add("jwks.json").json(), serde_json::json!({ "client_id": "svc" }));
    assert_eq!(tessera(folder, &["client", "show", "svc", "--json"]).json()["jwks"]["keys"][0]["kid"], "1");
}

#[test]
fn registration_tokens_are_made_listed_and_revoked() {
    let folder = installation();
    let folder = folder.path();
    let create = ["client", "registration-token", "create", "--note", "Partner", "--uses", "3", "--json"];
    let made = tessera(folder, &create).json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert_eq!(token.len(), 43);
    let listed = tessera(folder, &["client", "registration-token", "list", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&listed[0]["id"], &listed[0]["note"], &listed[0]["uses_left"]), (&id.into(), &"Partner".into(), &3.into()));
    assert_eq!((&listed[0]["expires_at"], &listed[0]["state"]), (&made["expires_at"], &"active".into()));
    for list in [["client", "registration-token", "list"].as_slice(), &["client", "registration-token", "list", "--json"]] {
        assert!(!tessera(folder, list).succeeded().contains(token), "a token is shown once");
    }
    tessera(folder, &["client", "registration-token", "create", "--uses", "0"]).failed(2);
    tessera(folder, &["client", "registration-token", "revoke", "nothing"]).failed(3);
    tessera(folder, &["client", "registration-token", "revoke", id]).succeeded();
    assert_eq!(tessera(folder, &["client", "registration-token", "list", "--json"]).json(), serde_json::json!([]));
}

/// Back-channel logout: the operator reads which app does not take it, and why.
#[tokio::test]
async fn apps_that_were_not_told_are_listed() {
    let folder = installation();
    let folder = folder.path();
    let command = ["client", "logout-failures"];
    assert!(tessera(folder, &command).succeeded().is_empty());
    assert_eq!(tessera(folder, &["client", "logout-failures", "--json"]).json(), json!([]));
    let uri = "https://shop.example/backchannel-logout";
    let add = ["client", "add", "--id", "shop", "--name", "Shop", "--redirect-uri", "https://shop.example/cb"];
    tessera(folder, &[&add[..], &["--backchannel-logout-uri", uri]].concat()).succeeded();
    let store = TestDatabase::open(&format!("sqlite:{}", folder.join("data/tessera.db").display())).await;
    let mut tx = store.begin().await.unwrap();
    for (session, given_up_at, last_error) in
        [("1", None, Some("it answered 503")), ("2", Some(Timestamp(9)), Some("it answered 503")), ("3", None, None)]
    {
        let delivery = LogoutDelivery {
            session_id: session.to_owned(),
            client_id: "shop".to_owned(),
            sub: "ada".to_owned(),
            created_at: Timestamp::from_seconds(1_800_000_000),
            attempts: 3,
            next_attempt_at: Timestamp(0),
            last_error: last_error.map(str::to_owned),
            given_up_at,
        };
        logout_deliveries::insert(&mut tx, &delivery).await.unwrap();
    }
    tx.commit().await.unwrap();
    store.close().await;
    let listed = tessera(folder, &["client", "logout-failures", "--json"]).json();
    let expected = json!([{
        "client_id": "shop", "reason": "it answered 503", "tried_again": 1, "given_up": 1, "oldest": "2027-01-15T08:00:00Z",
    }]);
    assert_eq!(listed, expected);
    let table = tessera(folder, &command).succeeded();
    assert!(table.contains("shop") && table.contains("it answered 503"), "{table}");
}
