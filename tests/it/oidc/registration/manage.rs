//! RFC 7592: a client and its own registration.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tessera::lifecycle;
use tessera::model::{Actor, AuditKind, Json};
use tessera::store::grants;

use super::*;
use crate::harness::elsewhere::{Elsewhere, Page};
use crate::harness::engines::on_both_engines;
use crate::harness::provider::{Tokens, random};

on_both_engines! {
    async fn an_update_replaces_all_and_the_token(db: TestDatabase) {
        let provider = open(db).await;
        let first = Registered::new(&provider, json!({ "contacts": ["a@app.example"], "tos_uri#de": "https://app.example/agb" })).await;
        let response = first.put(&provider, json!({ "client_name": "Other", "policy_uri": "https://app.example/p" })).await;
        assert_eq!((response.status, response.header("cache-control")), (StatusCode::OK, "no-store"), "{response:?}");
        let second = Registered::from(&response);
        assert_eq!((second.id.as_str(), second.path.as_str()), (first.id.as_str(), first.path.as_str()));
        assert_ne!(second.token, first.token);
        let read = second.get(&provider).await;
        assert_eq!(read.status, StatusCode::OK);
        for answer in [&second.answer, &read.json()] {
            assert_eq!((&answer["client_name"], &answer["policy_uri"]), (&json!("Other"), &json!("https://app.example/p")));
            assert!(answer.get("contacts").is_none() && answer.get("tos_uri#de").is_none(), "what is left out is gone");
            assert!(answer.get("client_secret").is_none(), "there is only its hash, and it stays in force");
        }
        for response in [first.get(&provider).await, first.put(&provider, json!({})).await, first.delete(&provider).await] {
            assert_eq!((response.status, response.error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_token"));
            assert!(response.header("www-authenticate").starts_with("Bearer "), "{response:?}");
        }
        // The secret that the client has is still its secret, and may be shown.
        let secret = first.answer["client_secret"].clone();
        let third = second.put(&provider, json!({ "client_secret": secret })).await;
        assert_eq!((third.status, &third.json()["client_secret"], &third.json()["client_secret_expires_at"]),
            (StatusCode::OK, &secret, &json!(0)));
        let code = [("grant_type", "authorization_code"), ("code", "none"), ("redirect_uri", REDIRECT_URI)];
        assert_eq!(provider.post(&first.client(), "/token", &code).await.error(), "invalid_grant", "authenticated");
    }

    async fn of_many_updates_at_once_one_wins(db: TestDatabase) {
        let provider = open(db).await;
        let first = Registered::new(&provider, json!({})).await;
        let other = provider.replica().await;
        let updates = (0..8).map(|i| {
            let at = if i % 2 == 0 { &provider } else { &other };
            first.put(at, json!({ "client_name": format!("Ledger {i}") }))
        });
        let answers = join_all(updates).await;
        let won: Vec<&Response> = answers.iter().filter(|answer| answer.status == StatusCode::OK).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| answer.status == StatusCode::OK || answer.error() == "invalid_token"));
        let live = Registered::from(won[0]);
        assert_eq!(live.get(&provider).await.json()["client_name"], live.answer["client_name"]);
    }

    async fn deleted_is_all_that_it_had(db: TestDatabase) {
        let provider = open(db).await;
        let registered = Registered::new(&provider, json!({ "grant_types": ["authorization_code", "refresh_token"] })).await;
        let client = registered.client();
        let user = provider.user("ada@example.org").await;
        let mut tx = provider.app.store.begin().await.unwrap();
        let scope = Json(stored(&provider, &registered.id).await.unwrap().metadata.scope.clone());
        grants::put(&mut tx, &user.id, &registered.id, &scope, provider.app.now()).await.unwrap();
        tx.commit().await.unwrap();
        let mut browser = provider.signed_in(&user).await;
        let tokens = provider.tokens(&client, &mut browser, "openid offline_access").await;
        assert!(provider.accepts(&tokens.access_token).await);

        assert_eq!(registered.delete(&provider).await.status, StatusCode::NO_CONTENT);
        assert!(stored(&provider, &registered.id).await.is_none());
        assert!(!provider.accepts(&tokens.access_token).await);
        assert_eq!(provider.refresh(&client, tokens.refresh()).await.error(), "invalid_client");
        assert_eq!(registered.delete(&provider).await.error(), "invalid_token");
        let events = events(&provider, &registered.id).await;
        let kinds: Vec<(AuditKind, String)> = events.into_iter().map(|event| (event.kind, event.actor)).collect();
        assert!(kinds.contains(&(AuditKind::ClientCreated, "anonymous".to_owned())), "{kinds:?}");
        assert!(kinds.contains(&(AuditKind::ClientDeleted, format!("client:{}", registered.id))), "{kinds:?}");
    }

    /// Whoever got hold of a registration token must not be able to use the consent that was given to the app as it was.
    async fn an_app_that_looks_other_asks_anew(db: TestDatabase) {
        let provider = open(db).await;
        let user = provider.user("ada@example.org").await;
        for (more, asks) in [
            (json!({ "contacts": ["a@app.example"] }), false),
            (json!({ "client_name": "Other" }), true),
            (json!({ "redirect_uris": [REDIRECT_URI, "https://evil.example/cb"] }), true),
            (json!({ "client_name#de": "Hauptbuch" }), true),
        ] {
            let registered = Registered::new(&provider, json!({})).await;
            let mut tx = provider.app.store.begin().await.unwrap();
            let scope = Json(stored(&provider, &registered.id).await.unwrap().metadata.scope.clone());
            grants::put(&mut tx, &user.id, &registered.id, &scope, provider.app.now()).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(registered.put(&provider, more.clone()).await.status, StatusCode::OK);
            let mut conn = provider.app.store.read().await.unwrap();
            assert_eq!(grants::find(&mut conn, &user.id, &registered.id).await.unwrap().is_none(), asks, "{more}");
        }
    }
}

/// Nobody learns whether there is such a client, whether it is disabled, or whose a token is.
#[tokio::test]
async fn every_wrong_token_gets_the_same_answer() {
    let provider = open(TestDatabase::sqlite().await).await;
    let (mine, yours) = (Registered::new(&provider, json!({})).await, Registered::new(&provider, json!({})).await);
    let disabled = Registered::new(&provider, json!({})).await;
    lifecycle::client::disable(&provider.app, &Actor::operator(), &disabled.id).await.unwrap();
    provider.client("shop", |_| {}).await;
    let mut answers = BTreeSet::new();
    for (path, token) in [
        (yours.path.as_str(), mine.token.as_str()),
        (&mine.path, &random()),
        (&mine.path, mine.answer["client_secret"].as_str().unwrap()),
        (&disabled.path, &disabled.token),
        ("/register/nobody", &mine.token),
        ("/register/shop", &mine.token),
        ("/register/%00", &mine.token),
        ("/register/%C3%A9%20x", &mine.token),
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let response =
                send(&provider, method.clone(), path, Some(token), app(json!({ "client_id": mine.id })).to_string()).await;
            assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{method} {path} {response:?}");
            answers.insert((response.header("www-authenticate").to_owned(), response.body));
        }
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    for client in [&mine, &yours] {
        assert_eq!(client.get(&provider).await.status, StatusCode::OK);
    }
    let none = send(&provider, Method::GET, &mine.path, None, "").await;
    assert_eq!((none.status, none.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer realm=\"tessera\""));
    let in_query = format!("{}?access_token={}", mine.path, mine.token);
    assert_eq!(send(&provider, Method::GET, &in_query, None, "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_update_changes_no_identity() {
    let provider = open(TestDatabase::sqlite().await).await;
    let registered = Registered::new(&provider, json!({})).await;
    for wrong in [
        json!({ "client_secret": "a secret of my own choice, long enough to be one" }),
        json!({ "client_secret": 1 }),
        json!({ "registration_access_token": registered.token }),
        json!({ "registration_client_uri": registered.answer["registration_client_uri"] }),
        json!({ "client_secret_expires_at": 0 }),
        json!({ "client_id_issued_at": 1 }),
        json!({ "subject_type": "pairwise" }),
        json!({ "software_statement": "x" }),
    ] {
        let response = registered.put(&provider, wrong.clone()).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{wrong} {response:?}");
        assert!(matches!(response.error().as_str(), "invalid_client_metadata" | "invalid_software_statement"), "{wrong}");
    }
    for id in [json!(null), json!("other"), json!(1)] {
        let body = app(json!({ "client_id": id })).to_string();
        let response = send(&provider, Method::PUT, &registered.path, Some(&registered.token), body).await;
        assert_eq!(response.error(), "invalid_client_metadata", "{id}");
    }
    let uri = registered.put(&provider, json!({ "redirect_uris": ["http://app.example/cb"] })).await;
    assert_eq!(uri.error(), "invalid_redirect_uri");
    assert_eq!(registered.get(&provider).await.json()["client_name"], "Ledger", "and the token is still good");
}

/// A `sub` of a pairwise client is for one host: a code from before must not yield another host's.
#[tokio::test]
async fn a_pairwise_client_keeps_its_host() {
    let provider = open(TestDatabase::sqlite().await).await;
    let registered = Registered::new(&provider, json!({ "subject_type": "pairwise" })).await;
    let elsewhere = json!({ "subject_type": "pairwise", "redirect_uris": ["https://victim.example/cb"] });
    assert_eq!(registered.put(&provider, elsewhere).await.error(), "invalid_client_metadata");
    let same = json!({ "subject_type": "pairwise", "redirect_uris": ["https://app.example/new"] });
    assert_eq!(registered.put(&provider, same).await.status, StatusCode::OK);
}

/// One that a document describes cannot be refused its new document, so what it had ends.
#[tokio::test]
async fn a_document_that_moves_its_pairwise_subjects_loses_what_it_had() {
    let provider = configured(TestDatabase::sqlite().await, |config| {
        config.registration.client_id_metadata_documents = true;
        config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let elsewhere = Elsewhere::start().await;
    let client = TestClient { id: elsewhere.url("/client"), secret: None, method: AuthMethod::None };
    let more = json!({
        "client_id": client.id, "subject_type": "pairwise", "grant_types": ["authorization_code", "refresh_token"],
    });
    elsewhere.put("/client", Page::json(&app(more)));
    let user = provider.user("ada@example.org").await;
    let mut browser = provider.signed_in(&user).await;
    let asked = browser.authorize(&client, &[]).await;
    assert!(asked.location().contains("/consent?"), "{asked:?}");
    let mut metadata = stored(&provider, &client.id).await.unwrap().metadata.0;
    let (app, nobody) = (&provider.app, Actor::default());
    let mut tx = app.store.begin().await.unwrap();
    grants::put(&mut tx, &user.id, &client.id, &Json(metadata.scope.clone()), app.now()).await.unwrap();
    tx.commit().await.unwrap();
    let tokens = provider.tokens(&client, &mut browser, "openid").await;
    let tokens = Tokens::from(&provider.refresh(&client, tokens.refresh()).await);
    let code = browser.code(&client, &[]).await;

    provider.advance(1);
    metadata.redirect_uris = vec!["https://victim.example/cb".to_owned()];
    lifecycle::client::put_document(app, &nobody, &client.id, &metadata, app.now()).await.unwrap();
    assert_eq!(provider.redeem(&client, &code).await.error(), "invalid_grant");
    assert_eq!(provider.refresh(&client, tokens.refresh()).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_secret_comes_and_goes_with_the_method() {
    let provider = open(TestDatabase::sqlite().await).await;
    let ask = async |client: &Registered| {
        let form = [("grant_type", "authorization_code"), ("code", "none"), ("redirect_uri", REDIRECT_URI)];
        provider.post(&client.client(), "/token", &form).await.error()
    };
    let public = Registered::new(&provider, json!({ "token_endpoint_auth_method": "none" })).await;
    let confidential = Registered::from(&public.put(&provider, json!({})).await);
    assert_eq!(confidential.answer["client_secret_expires_at"], 0);
    assert_eq!((ask(&confidential).await, ask(&public).await), ("invalid_grant".to_owned(), "invalid_client".to_owned()));
    let pkce = stored(&provider, &public.id).await.unwrap().metadata.pkce;
    assert_eq!(pkce, Some(provider.app.config.registration.pkce));
    let again = Registered::from(&confidential.put(&provider, json!({ "token_endpoint_auth_method": "none" })).await);
    assert!(again.answer.get("client_secret").is_none() && again.answer.get("client_secret_expires_at").is_none());
    assert_eq!((ask(&again).await, ask(&confidential).await), ("invalid_grant".to_owned(), "invalid_client".to_owned()));
    assert!(stored(&provider, &again.id).await.unwrap().secret_hash.is_none());
    // The hash alone cannot sign: a method that needs the secret itself gets a new one.
    let basic = Registered::from(&again.put(&provider, json!({})).await);
    let jwt = Registered::from(&basic.put(&provider, json!({ "token_endpoint_auth_method": "client_secret_jwt" })).await);
    assert_ne!(jwt.answer["client_secret"], basic.answer["client_secret"]);
    assert!(jwt.answer["client_secret"].is_string());
}

/// What an operator decided, the client cannot take back.
#[tokio::test]
async fn a_client_that_the_operator_changed_changes_itself_no_more() {
    let provider = open(TestDatabase::sqlite().await).await;
    let registered = Registered::new(&provider, json!({})).await;
    let client = stored(&provider, &registered.id).await.unwrap();
    let mut metadata = client.metadata.0.clone();
    metadata.scope = tessera::model::ScopeSet::from("openid".to_owned());
    lifecycle::client::update(&provider.app, &Actor::operator(), &client, metadata).await.unwrap();
    assert_eq!(registered.put(&provider, json!({ "scope": "openid email" })).await.error(), "invalid_token");
    let client = stored(&provider, &registered.id).await.unwrap();
    assert_eq!(client.metadata.scope.to_string(), "openid");
    assert!(!client.origin.is_vouched_for(), "a changed client is not a checked one");
}
