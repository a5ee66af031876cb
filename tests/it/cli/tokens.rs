//! `tessera token`, beside a running provider.

use std::time::Duration;

use serde_json::Value;
use tessera::clock::{Clock, Timestamp};
use tessera::model::secret::new_id;
use tessera::model::{ClaimsRequest, Json, RefreshToken, ScopeSet, Secret, Session, TokenFamily};
use tessera::store::{sessions, token_families};
use tokio::time::timeout;

use super::{installation, tessera, tessera_with};
use crate::harness::engines::TestDatabase;
use crate::harness::process::Process;
use crate::harness::redis::free_port;

#[tokio::test]
async fn an_access_token_is_looked_into_and_taken_back() {
    let folder = installation();
    let folder = folder.path();
    let add = ["client", "add", "--id", "svc", "--name", "Service", "--grant", "client_credentials", "--json"];
    let added = tessera(folder, &add).json();
    let port = free_port();
    let issuer = format!("http://127.0.0.1:{port}");
    let provider = Process::serve(folder, port, &[]).await;
    let http = reqwest::Client::new();
    let ask = async |endpoint: &str, form: &[(&str, &str)]| -> Value {
        let request = http.post(format!("{issuer}/{endpoint}")).basic_auth("svc", added["client_secret"].as_str()).form(form);
        request.send().await.unwrap().json().await.unwrap()
    };
    let token = ask("token", &[("grant_type", "client_credentials")]).await["access_token"].as_str().unwrap().to_owned();
    let settings = [("TESSERA_ISSUER", issuer.as_str())];
    let inspect = |token: &str| tessera_with(folder, &["token", "inspect", "-", "--json"], token, &settings).json();

    let good = inspect(&token);
    assert_eq!(
        (&good["kind"], &good["signature_valid"], &good["active"]),
        (&"access_token".into(), &true.into(), &true.into()),
        "{good}"
    );
    assert_eq!((&good["header"]["alg"], &good["claims"]["client_id"]), (&"ES256".into(), &"svc".into()));

    let (rest, signature) = token.rsplit_once('.').unwrap();
    let forged = inspect(&format!("{rest}.{}", signature.chars().rev().collect::<String>()));
    assert_eq!((&forged["signature_valid"], &forged["active"]), (&false.into(), &false.into()));
    let elsewhere =
        tessera_with(folder, &["token", "inspect", "-", "--json"], &token, &[("TESSERA_ISSUER", "http://localhost:1")]).json();
    assert_eq!((&elsewhere["signature_valid"], &elsewhere["active"]), (&true.into(), &false.into()), "another issuer");

    tessera_with(folder, &["token", "revoke", "-"], &format!("{rest}.AAAA"), &settings).failed(1);
    assert_eq!(ask("introspect", &[("token", &token)]).await["active"], true);
    tessera_with(folder, &["token", "revoke", "-"], &token, &settings).succeeded();
    let revoked = inspect(&token);
    assert_eq!((&revoked["active"], &revoked["revoked_by"]), (&false.into(), &"token".into()));
    let refused = async { while ask("introspect", &[("token", &token)]).await["active"] == true {} };
    timeout(Duration::from_secs(10), refused).await.expect("the running provider follows the log");

    let other = ask("token", &[("grant_type", "client_credentials")]).await["access_token"].as_str().unwrap().to_owned();
    let jti = inspect(&other)["claims"]["jti"].as_str().unwrap().to_owned();
    tessera_with(folder, &["token", "revoke", "--jti", &jti], "", &settings).succeeded();
    assert_eq!(inspect(&other)["revoked_by"], "token");
    drop(provider);

    let kid = inspect(&other)["header"]["kid"].as_str().unwrap().to_owned();
    tessera(folder, &["key", "revoke", &kid, "--yes"]).succeeded();
    assert_eq!(inspect(&other)["revoked_by"], "key");
    assert!(tessera_with(folder, &["token", "inspect", "-"], &other, &settings).succeeded().contains("key was revoked"));
}

#[tokio::test]
async fn a_refresh_token_is_looked_into_and_ends_with_its_family() {
    let folder = installation();
    let folder = folder.path();
    let add = ["client", "add", "--id", "shop", "--name", "Shop", "--redirect-uri", "https://shop.example/cb"];
    tessera(folder, &add).succeeded();
    let user = tessera(folder, &["user", "add", "ada@example.com", "--no-password", "--json"]).json();
    let token =
        insert_refresh_token(&format!("sqlite:{}", folder.join("data/tessera.db").display()), user["id"].as_str().unwrap()).await;
    let inspect = || tessera_with(folder, &["token", "inspect", "-", "--json"], token.expose(), &[]).json();

    let good = inspect();
    assert_eq!(
        (&good["kind"], &good["active"], &good["email"]),
        (&"refresh_token".into(), &true.into(), &"ada@example.com".into()),
        "{good}"
    );
    assert!(tessera_with(folder, &["token", "inspect", "-"], token.expose(), &[]).succeeded().contains("accepted:    yes"));

    tessera_with(folder, &["token", "revoke", "-"], token.expose(), &[]).succeeded();
    let revoked = inspect();
    assert_eq!(revoked["active"], false);
    assert!(revoked["revoked_at"].is_string());
    tessera(folder, &["user", "disable", "ada@example.com"]).succeeded();
    let problems = inspect()["problems"].to_string();
    assert!(problems.contains("revoked") && problems.contains("disabled") && problems.contains("session"), "{problems}");

    for command in ["inspect", "revoke"] {
        tessera_with(folder, &["token", command, "-"], "bananas\n", &[]).failed(3);
        tessera_with(folder, &["token", command, "-"], "\n", &[]).failed(2);
    }
}

/// What a sign-in and a code exchange leave in the database.
async fn insert_refresh_token(url: &str, user_id: &str) -> Secret {
    let store = TestDatabase::open(url).await;
    let now = Clock::system().now();
    let later: Timestamp = now + Duration::from_secs(3600);
    let session = Session {
        id: new_id(),
        secret_hash: Secret::random().hash(),
        user_id: user_id.to_owned(),
        auth_time: now,
        amr: Json(vec!["pwd".to_owned()]),
        created_at: now,
        last_seen_at: now,
        expires_at: later,
        ended_at: None,
        user_agent: String::new(),
        ip: String::new(),
    };
    let family = TokenFamily {
        id: new_id(),
        client_id: "shop".to_owned(),
        user_id: user_id.to_owned(),
        session_id: session.id.clone(),
        scope: Json(ScopeSet::from("openid".to_owned())),
        resource: Json(Vec::new()),
        offline: false,
        acr: None,
        amr: Json(Vec::new()),
        claims: Json(ClaimsRequest::default()),
        auth_time: now,
        created_at: now,
        last_used_at: now,
        expires_at: later,
        revoked_at: None,
    };
    let secret = Secret::random();
    let token = RefreshToken {
        token_hash: secret.hash(),
        family_id: family.id.clone(),
        created_at: now,
        expires_at: later,
        rotated_at: None,
        access_token_jti: new_id(),
        access_token_expires_at: later,
        status_list: None,
        status_idx: None,
    };
    let mut tx = store.begin().await.unwrap();
    sessions::insert(&mut tx, &session).await.unwrap();
    token_families::insert(&mut tx, &family).await.unwrap();
    token_families::insert_token(&mut tx, &token).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    secret
}
