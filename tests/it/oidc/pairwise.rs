//! Pairwise subjects (OpenID Connect Core §8.1): what every client sees of a person, and that everything of theirs can be taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tessera::clock::Timestamp;
use tessera::lifecycle;
use tessera::model::client::SubjectType;
use tessera::model::{Actor, ClientMetadata, Revocation, RevocationKind, User};
use tessera::oidc::{access_token, subject};
use tessera::revocation::{TokenFacts, Verdict};
use tessera::store::{clients, pairwise_subjects, revocations, users};
use tokio::time::Instant;

use crate::harness::calls::Calls;
use crate::harness::cluster::Cluster;
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Provider, REDIRECT_URI, TestClient, Tokens, claims, new_email};

/// A client whose subjects are for this sector.
fn of_sector(sector: &str) -> impl FnOnce(&mut ClientMetadata) {
    move |metadata| {
        metadata.subject_type = SubjectType::Pairwise;
        metadata.sector_identifier_uri = Some(format!("https://{sector}/redirect_uris.json"));
    }
}

fn of_its_own_host(metadata: &mut ClientMetadata) {
    metadata.subject_type = SubjectType::Pairwise;
}

fn sub(token: &str) -> String {
    claims(token)["sub"].as_str().unwrap().to_owned()
}

async fn tokens(provider: &Provider, client: &TestClient, user: &User) -> Tokens {
    provider.tokens(client, &mut provider.signed_in(user).await, "openid email").await
}

/// What the provider, and a resource server with the log, say of the token if its `sid` and `jti` are left aside: the `user` net alone.
async fn by_user_alone(provider: &Provider, token: &str) -> Verdict {
    let token = access_token::verify(&provider.app, token).unwrap();
    provider.app.revocations.follow().await.unwrap();
    let facts = TokenFacts { sid: None, jti: "another", ..token.facts() };
    provider.app.revocations.check(&facts).await.unwrap()
}

async fn log(provider: &Provider) -> Vec<Revocation> {
    revocations::since(&mut provider.app.store.read().await.unwrap(), 0, Timestamp(0), 1_000).await.unwrap()
}

#[tokio::test]
async fn clients_of_one_sector_share_a_subject_and_no_others() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let (ada, bob) = (provider.user(&new_email()).await, provider.user(&new_email()).await);
    let mut subs = Vec::new();
    for (id, change) in [
        ("one", Box::new(of_its_own_host) as Box<dyn FnOnce(&mut ClientMetadata)>),
        ("two", Box::new(of_its_own_host)),
        ("by list", Box::new(of_sector("app.example"))),
        ("other", Box::new(of_sector("other.example"))),
        ("public", Box::new(|_: &mut ClientMetadata| {})),
    ] {
        let client = provider.client(id, change).await;
        subs.push([&ada, &bob].map(|user| {
            let (provider, client) = (&provider, client.clone());
            async move { sub(&tokens(provider, &client, user).await.access_token) }
        }));
    }
    let mut known = Vec::new();
    for [of_ada, of_bob] in subs {
        known.push((of_ada.await, of_bob.await));
    }
    let [one, two, by_list, other, public] = &known[..] else { panic!() };
    assert_eq!((one, one), (two, by_list), "the host is the sector, however it is known");
    assert_eq!((&public.0, &public.1), (&ada.id, &bob.id));
    let distinct: BTreeSet<&String> = [one, other, public].into_iter().flat_map(|(ada, bob)| [ada, bob]).collect();
    assert_eq!(distinct.len(), 6, "nobody can tell that two of them are the same person");
    // Nor compute one from what is known.
    for sector in ["app.example", "https://app.example", ""] {
        for guess in [format!("{sector}{}", ada.id), format!("{sector}\0{}", ada.id), format!("{}{sector}", ada.id)] {
            assert_ne!(URL_SAFE_NO_PAD.encode(Sha256::digest(guess)), one.0);
        }
    }
    assert!(one.0.len() == 43 && one.0.is_ascii(), "at most 255 ASCII characters (Core §8)");
    assert_eq!(subject::user_of(&mut provider.app.store.read().await.unwrap(), &one.0).await.unwrap(), ada.id);
    assert_eq!(subject::user_of(&mut provider.app.store.read().await.unwrap(), &ada.id).await.unwrap(), ada.id);
}

/// Wherever a client, or a resource server of its, learns whom a token is about, it is the same; and the account's id is nowhere.
#[tokio::test]
async fn every_place_says_the_same_and_none_says_more() {
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| config.tokens.status_list = true).await;
    let client = provider.client("app", of_its_own_host).await;
    let server = provider.client("api", |metadata| metadata.resource_server_for = vec!["https://id.example".to_owned()]).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let first = provider.tokens(&client, &mut browser, "openid email profile").await;
    let refreshed = Tokens::from(&provider.refresh(&client, first.refresh()).await);
    let expected = sub(&first.access_token);
    let mut seen = Vec::new();
    for token in [&first, &refreshed] {
        seen.push(claims(&token.access_token));
        seen.push(claims(token.id_token.as_deref().unwrap()));
        seen.push(provider.with_token("/userinfo", &token.access_token).await.json());
        for asking in [&client, &server] {
            seen.push(provider.post(asking, "/introspect", &[("token", &token.access_token)]).await.json());
        }
    }
    seen.push(provider.post(&client, "/introspect", &[("token", refreshed.refresh())]).await.json());
    for said in seen {
        assert_eq!(said["sub"], expected.as_str(), "{said}");
        assert!(!said.to_string().contains(&user.id), "{said}");
    }
    let metadata = provider.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["subject_types_supported"], serde_json::json!(["public", "pairwise"]));
}

/// 19: a client names whom it expects by the `sub` that it knows, and by no other.
#[tokio::test]
async fn an_expected_person_is_named_by_the_clients_own_subject() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", of_its_own_host).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let id_token = provider.tokens(&client, &mut browser, "openid").await.id_token.unwrap();
    let by_claims = |sub: &str| serde_json::json!({ "id_token": { "sub": { "value": sub } } }).to_string();
    let (own, account) = (by_claims(&sub(&id_token)), by_claims(&user.id));
    let mut stranger = provider.signed_in(&provider.user(&new_email()).await).await;
    for (name, value, expected) in [("id_token_hint", &id_token, true), ("claims", &own, true), ("claims", &account, false)] {
        let answer = browser.authorize(&client, &[("prompt", "none"), (name, value)]).await;
        assert_eq!(answer.param("code").is_some(), expected, "{value}: {answer:?}");
        let answer = stranger.authorize(&client, &[("prompt", "none"), (name, value)]).await;
        assert_eq!(answer.error(), "login_required", "{value}: {answer:?}");
    }
}

#[tokio::test]
async fn without_one_host_there_is_no_subject() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let user = provider.user(&new_email()).await;
    for (id, others) in [("two-hosts", vec!["https://other.example/cb"]), ("no-host", vec!["com.example.app:/cb"])] {
        // The rules for clients refuse this; a client may have come here before there were any.
        let client = provider
            .client(id, |metadata| {
                of_its_own_host(metadata);
                metadata.redirect_uris.extend(others.into_iter().map(str::to_owned));
            })
            .await;
        let mut browser = provider.signed_in(&user).await;
        let authorized = browser.authorize(&client, &[]).await;
        assert_eq!(authorized.error(), "server_error", "{id}");
        assert!(!authorized.location().contains(&user.id) && !authorized.body.contains(&user.id));
    }
}

/// A client that knows people by other subjects from now on: no refresh token changes whom it is about, and what it had is taken back
/// like everything else.
#[tokio::test]
async fn a_client_whose_subjects_change_begins_anew() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", of_its_own_host).await;
    let user = provider.user(&new_email()).await;
    let mut held = vec![tokens(&provider, &client, &user).await];
    let changes: [fn(&mut ClientMetadata); 4] = [
        |metadata| metadata.sector_identifier_uri = Some("https://sector.example/list".to_owned()),
        |metadata| metadata.subject_type = SubjectType::Public,
        |metadata| metadata.subject_type = SubjectType::Pairwise,
        |metadata| metadata.client_name = Some("Another name".to_owned()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let before = clients::find(&mut provider.app.store.read().await.unwrap(), "app").await.unwrap().unwrap();
        let mut metadata = before.metadata.0.clone();
        change(&mut metadata);
        lifecycle::client::update(&provider.app, &Actor::operator(), &before, metadata).await.unwrap();
        let last = held.last().unwrap();
        let answer = provider.refresh(&client, last.refresh()).await;
        match number {
            3 => assert_eq!(sub(&Tokens::from(&answer).access_token), sub(&last.access_token), "a name changes nobody's subject"),
            _ => assert_eq!(answer.error(), "invalid_grant"),
        }
        let userinfo = provider.with_token("/userinfo", &last.access_token).await;
        assert_eq!(userinfo.json()["sub"], sub(&last.access_token).as_str(), "what was told before stays what it was");
        held.push(tokens(&provider, &client, &user).await);
    }
    let subs: BTreeSet<String> = held.iter().map(|tokens| sub(&tokens.access_token)).collect();
    assert_eq!(subs.len(), 3);
    lifecycle::user::sign_out_everywhere(&provider.app, &Actor::operator(), &user.id).await.unwrap();
    for tokens in &held {
        assert!(!provider.accepts(&tokens.access_token).await);
        assert_eq!(by_user_alone(&provider, &tokens.access_token).await, Verdict::Refused(RevocationKind::User));
    }
}

on_both_engines! {
    /// Each cause writes an entry for the account and one for each of its subjects, so that either net holds without the other.
    async fn what_cuts_a_person_off_names_each_of_their_subjects(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let replica = provider.replica().await;
        let apps = [provider.client("a", of_sector("a.example")).await, provider.client("b", of_sector("b.example")).await];
        let public = provider.client("public", |_| {}).await;
        let bystander = provider.user(&new_email()).await;
        let kept = tokens(&provider, &apps[0], &bystander).await.access_token;
        for cause in ["password", "everywhere", "disabled", "deleted"] {
            let user = provider.user(&new_email()).await;
            let mut held = Vec::new();
            for client in apps.iter().chain([&public]) {
                held.push(tokens(&provider, client, &user).await.access_token);
            }
            let subs: BTreeSet<String> = held.iter().map(|token| sub(token)).collect();
            assert_eq!(subs.len(), 3);
            let (app, operator) = (&replica.app, Actor::operator());
            let before = log(&provider).await.last().map_or(0, |entry| entry.seq);
            match cause {
                "password" => lifecycle::user::change_password(app, &operator, &user.id, "unused").await.unwrap(),
                "everywhere" => lifecycle::user::sign_out_everywhere(app, &operator, &user.id).await.unwrap(),
                "disabled" => assert!(lifecycle::user::disable(app, &operator, &user.id).await.unwrap()),
                _ => assert!(lifecycle::user::delete(app, &operator, &user.id).await.unwrap()),
            }
            let named: BTreeSet<String> = log(&provider)
                .await
                .into_iter()
                .filter(|entry| entry.seq > before && entry.kind == RevocationKind::User)
                .map(|entry| entry.id)
                .collect();
            assert_eq!(named, subs, "{cause}");
            for token in &held {
                for provider in [&provider, &replica] {
                    assert_eq!(by_user_alone(provider, token).await, Verdict::Refused(RevocationKind::User), "{cause}");
                    assert!(!provider.accepts(token).await, "{cause}");
                }
            }
            let mut conn = provider.app.store.read().await.unwrap();
            let left = pairwise_subjects::of_user(&mut conn, &user.id).await.unwrap();
            assert_eq!(left.len(), if cause == "deleted" { 0 } else { 2 });
        }
        assert!(provider.accepts(&kept).await);
    }

    /// A cut-off and a subject that is recorded at the same moment: whoever comes second knows of the first.
    async fn a_subject_that_is_just_recorded_does_not_slip_through(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let user = provider.user(&new_email()).await;
        let mut tx = provider.app.store.begin().await.unwrap();
        assert!(users::hold(&mut tx, &user).await.unwrap());
        let (app, id) = (provider.app.clone(), user.id.clone());
        let change =
            tokio::spawn(async move { lifecycle::user::change_password(&app, &Actor::operator(), &id, "unused").await.unwrap() });
        tokio::task::yield_now().await;
        pairwise_subjects::insert(&mut tx, "just recorded", &user.id, "a.example", provider.app.now()).await.unwrap();
        tx.commit().await.unwrap();
        change.await.unwrap();
        assert!(log(&provider).await.iter().any(|entry| entry.kind == RevocationKind::User && entry.id == "just recorded"));
        let mut tx = provider.app.store.begin().await.unwrap();
        assert!(!users::hold(&mut tx, &user).await.unwrap(), "who saw the account before must read it again");
    }

    /// Many tokens are minted while the password changes, for sectors that nobody has seen the person in: none escapes.
    async fn no_token_escapes_a_password_change_that_comes_at_the_same_time(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let replica = provider.replica().await;
        let mut apps = Vec::new();
        for number in 0..3 {
            let sector = format!("s{number}.example");
            // Two of each sector, so that one may find what the other has just recorded.
            apps.push(provider.client(&format!("{number} one"), of_sector(&sector)).await);
            apps.push(provider.client(&format!("{number} two"), of_sector(&sector)).await);
        }
        let (mut minted_before, mut refused_before, mut minted_after) = (0, 0, 0);
        for round in 0..10 {
            // Minting has waited for a second to begin; the change comes later in it, and so cuts off all of that second.
            provider.clock.advance(Duration::from_millis(1));
            let user = provider.user(&new_email()).await;
            let mut browser = provider.signed_in(&user).await;
            let mut codes = Vec::new();
            for client in &apps {
                codes.push((client, browser.code(client, &[]).await));
            }
            let redeemed = join_all(codes.iter().enumerate().map(|(number, (client, code))| {
                let at = if number % 2 == 0 { &provider } else { &replica };
                at.redeem(client, code)
            }));
            let change = async {
                // At another moment of the redemptions each time.
                for _ in 0..round * 3 {
                    tokio::task::yield_now().await;
                }
                lifecycle::user::change_password(&replica.app, &Actor::operator(), &user.id, "unused").await.unwrap();
                let mut browser = replica.signed_in(&user).await;
                let mut fresh = Vec::new();
                for client in apps.iter().step_by(2) {
                    fresh.push(replica.tokens(client, &mut browser, "openid").await.access_token);
                }
                fresh
            };
            let (redeemed, fresh) = tokio::join!(redeemed, change);
            for answer in redeemed {
                if answer.status != StatusCode::OK {
                    assert_eq!(answer.error(), "invalid_grant");
                    refused_before += 1;
                    continue;
                }
                minted_before += 1;
                let token = Tokens::from(&answer).access_token;
                for at in [&provider, &replica] {
                    assert_eq!(by_user_alone(at, &token).await, Verdict::Refused(RevocationKind::User), "round {round}");
                }
            }
            for token in fresh {
                minted_after += 1;
                assert_eq!(by_user_alone(&provider, &token).await, Verdict::Accepted, "minted after the change");
            }
        }
        assert!(minted_before > 0 && refused_before > 0 && minted_after == 30, "{minted_before} {refused_before}");
    }
}

/// A resource server that asks nobody refuses a pairwise token within a second, as any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_server_hears_of_it_within_a_second() {
    let cluster = Cluster::start(TestDatabase::sqlite().await, 2, |_| {}).await;
    let server = cluster.resource_server("api").await;
    let verifier = cluster.verifier(&server).await;
    let client = cluster
        .client("app", |metadata| {
            metadata.redirect_uris = vec![REDIRECT_URI.to_owned()];
            of_its_own_host(metadata);
        })
        .await;
    let (user, other) = (cluster.user(&new_email()).await, cluster.user(&new_email()).await);
    let token = cluster.token_of(&user, &client, 1).await;
    let kept = cluster.token_of(&other, &client, 1).await;
    assert_ne!(claims(&token)["sub"], Value::from(user.id.as_str()));
    let calls = Calls::tight(&verifier, &[&token, &kept]);
    calls.accepted(&[0, 1]).await;
    // The cut-off alone: a session's end, which comes with it, would do as well.
    let app = &cluster.replicas[1].app;
    let mut tx = app.store.begin().await.unwrap();
    let now = app.now();
    users::set_password_changed(&mut tx, &user.id, now).await.unwrap();
    let subs = pairwise_subjects::of_user(&mut tx, &user.id).await.unwrap();
    assert_eq!(subs, [sub(&token)]);
    let entries = subs.iter().map(|sub| tessera::revocation::user(sub, now)).collect();
    app.revocations.commit(tx, entries).await.unwrap();
    let answered = Instant::now();
    let (late, kind) = calls.revoked(0, answered).await;
    assert_eq!(kind, tessera_verifier::Kind::Sub, "{late:?}");
    calls.accepted(&[1]).await;
}
