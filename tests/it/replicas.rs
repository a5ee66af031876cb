//! Several replicas on one database and one Redis: what one does holds at all of them, whatever becomes of Redis.

use std::sync::Arc;

use axum::http::StatusCode;
use futures_util::future::join_all;
use tessera::app::App;
use tessera::clock::Clock;
use tessera::config::{Config, DeclaredClient};
use tessera::lifecycle;
use tessera::model::client::{AuthMethod, ClientOrigin, GrantType};
use tessera::model::{Actor, Algorithm, ClientMetadata, KeyState, ScopeSet, Secret};
use tessera::oidc::access_token;
use tessera::store::{clients, signing_keys};

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{ISSUER, MASTER_KEY, PASSWORD, Provider, TestClient, new_email};
use crate::harness::redis::{PrivateRedis, SharedRedis};

/// Two replicas on PostgreSQL and Redis; none when these are not configured.
async fn two_replicas(redis_url: &str, prefix: &str, change: impl FnOnce(&mut Config)) -> Option<(Provider, Provider)> {
    let configure = |config: &mut Config| {
        config.redis.url = Some(redis_url.to_owned());
        config.redis.prefix = prefix.to_owned();
        change(config);
    };
    let first = Provider::configured(TestDatabase::postgres().await?, configure).await;
    let second = first.replica().await;
    Some((first, second))
}

/// A client, and two access tokens of a new user: one to revoke, one to keep.
async fn two_tokens(provider: &Provider, id: &str) -> (TestClient, String, String) {
    let client = provider.client(id, |_| {}).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let revoked = provider.tokens(&client, &mut browser, "openid").await.access_token;
    let kept = provider.tokens(&client, &mut browser, "openid").await.access_token;
    (client, revoked, kept)
}

async fn revoke(provider: &Provider, client: &TestClient, token: &str) {
    assert_eq!(provider.post(client, "/revoke", &[("token", token)]).await.status, StatusCode::OK);
}

/// How many of these two answers SQL had to give.
async fn sql_answers(provider: &Provider, revoked: &str, kept: &str) -> u64 {
    let before = provider.app.revocations.counters().sql_fallbacks;
    assert!(!provider.accepts(revoked).await, "a revoked token is accepted");
    assert!(provider.accepts(kept).await, "a good token is refused");
    provider.app.revocations.counters().sql_fallbacks - before
}

/// Follows the log until Redis is repaired. Each step asks Redis, and waits no longer than its time-out.
async fn until_repaired(provider: &Provider) {
    for _ in 0..200 {
        provider.app.revocations.follow().await.unwrap();
        if !provider.app.revocations.redis_is_away() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("Redis is not repaired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_carries_a_revocation_to_the_other_replica_at_once() {
    let Some(redis) = SharedRedis::reserve() else { return };
    let Some((first, second)) = two_replicas(&redis.url, &redis.prefix, |_| {}).await else { return };
    for kind in ["token", "session", "user", "client"] {
        let client = first.client(kind, |_| {}).await;
        let user = first.user(&new_email()).await;
        let token = first.tokens(&client, &mut first.signed_in(&user).await, "openid").await.access_token;
        assert!(first.accepts(&token).await && second.accepts(&token).await, "{kind}");
        first.advance(1);
        first.app.revocations.follow().await.unwrap();
        second.app.revocations.follow().await.unwrap();
        let actor = Actor::operator();
        match kind {
            "token" => revoke(&first, &client, &token).await,
            "session" => assert_eq!(lifecycle::session::end_all(&first.app, &actor, &user.id, None).await.unwrap(), 1),
            "user" => lifecycle::user::sign_out_everywhere(&first.app, &actor, &user.id).await.unwrap(),
            _ => assert!(lifecycle::client::disable(&first.app, &actor, &client.id).await.unwrap()),
        }
        // Nothing is followed in between: Redis has it.
        let before = second.app.revocations.counters().sql_fallbacks;
        assert!(!second.accepts(&token).await, "{kind}");
        assert_eq!(second.app.revocations.counters().sql_fallbacks, before, "{kind}: the answer came from Redis");
        assert!(!first.accepts(&token).await, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_flushed_lets_no_revoked_token_through_and_is_refilled() {
    let Some(redis) = PrivateRedis::start() else { return };
    let Some((first, second)) = two_replicas(&redis.url(), "t:", |_| {}).await else { return };
    let (client, revoked, kept) = two_tokens(&first, "app").await;
    revoke(&first, &client, &revoked).await;
    second.app.revocations.follow().await.unwrap();
    assert_eq!(sql_answers(&first, &revoked, &kept).await + sql_answers(&second, &revoked, &kept).await, 0);
    redis.flush();
    assert_eq!(sql_answers(&first, &revoked, &kept).await, 2, "an empty Redis is not believed");
    assert_eq!(sql_answers(&second, &revoked, &kept).await, 2);
    second.app.revocations.follow().await.unwrap();
    assert_eq!(sql_answers(&first, &revoked, &kept).await, 0, "one replica repairs it for all");
    assert_eq!(sql_answers(&second, &revoked, &kept).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_stopped_leaves_the_answers_to_sql_and_is_refilled_when_it_is_back() {
    let Some(mut redis) = PrivateRedis::start() else { return };
    let Some((first, second)) = two_replicas(&redis.url(), "t:", |_| {}).await else { return };
    let (client, before, kept) = two_tokens(&first, "app").await;
    let (other_client, meanwhile, _) = two_tokens(&first, "other").await;
    revoke(&first, &client, &before).await;
    redis.stop();
    assert_eq!(sql_answers(&first, &before, &kept).await, 2);
    assert_eq!(sql_answers(&second, &before, &kept).await, 2);
    assert!(first.app.revocations.redis_is_away() && second.app.revocations.redis_is_away());
    assert!(first.accepts(&meanwhile).await && second.accepts(&meanwhile).await);
    revoke(&second, &other_client, &meanwhile).await;
    for provider in [&first, &second] {
        assert_eq!(sql_answers(provider, &meanwhile, &kept).await, 2, "what is revoked without Redis is refused everywhere");
        assert_eq!(provider.get("/readyz").await.status, StatusCode::OK, "Redis is a helper: without it we serve");
    }
    redis.start_again();
    assert_eq!(sql_answers(&first, &before, &kept).await, 2, "an empty Redis is not believed");
    until_repaired(&first).await;
    until_repaired(&second).await;
    for provider in [&first, &second] {
        assert_eq!(sql_answers(provider, &before, &kept).await, 0);
        assert_eq!(sql_answers(provider, &meanwhile, &kept).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_counts_failed_sign_ins_for_all_replicas() {
    let Some(redis) = SharedRedis::reserve() else { return };
    let limit = |config: &mut Config| config.limits.sign_in_per_account = 4;
    let Some((first, second)) = two_replicas(&redis.url, &redis.prefix, limit).await else { return };
    let email = new_email();
    first.user(&email).await;
    let attempt = async |provider: &Provider, email: &str, password: &str| {
        let mut browser = provider.browser();
        let csrf = browser.csrf("/login").await;
        browser.post("/login", &[("csrf", &csrf), ("email", email), ("password", password)]).await
    };
    for number in 0..4 {
        let provider = if number % 2 == 0 { &first } else { &second };
        let spelling = if number < 2 { email.to_uppercase() } else { format!(" {email}") };
        assert_eq!(attempt(provider, &spelling, "wrong").await.status, StatusCode::UNPROCESSABLE_ENTITY, "attempt {number}");
    }
    for provider in [&first, &second] {
        let refused = attempt(provider, &email, PASSWORD).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "the right password too, or guessing would go on");
        let seconds: u32 = refused.header("retry-after").parse().unwrap();
        assert!((1..=first.app.config.limits.window).contains(&seconds));
    }
    let other = new_email();
    first.user(&other).await;
    assert_eq!(attempt(&second, &other, PASSWORD).await.status, StatusCode::SEE_OTHER, "another account is not concerned");
}

fn config(db: &TestDatabase) -> Config {
    let mut config = Config { issuer: ISSUER.to_owned(), ..Config::default() };
    config.database.url = db.url.clone();
    config.keys.master_key = Some(MASTER_KEY.to_owned());
    config
}

/// So many processes that open the same database at once.
async fn open_at_once(db: &TestDatabase, count: usize) -> Vec<Arc<App>> {
    let opened = join_all((0..count).map(|_| tokio::spawn(App::open(config(db), Clock::system())))).await;
    opened.into_iter().map(|app| app.unwrap().unwrap()).collect()
}

on_both_engines! {
    /// A first start of several replicas at once: one root secret, one key that signs, and each understands the others.
    async fn a_first_start_at_once_makes_one_set_of_keys(db: TestDatabase) {
        let apps = open_at_once(&db, 4).await;
        let keys = signing_keys::all(&mut db.store.read().await.unwrap()).await.unwrap();
        for alg in Algorithm::ALL {
            let count = |state| keys.iter().filter(|key| key.alg == alg && key.state == state).count();
            assert_eq!((count(KeyState::Active), count(KeyState::Upcoming)), (1, 1), "{keys:?}");
        }
        let token = Secret::random();
        for app in &apps {
            assert_eq!(app.secrets.successor(&token).expose(), apps[0].secrets.successor(&token).expose());
            assert_eq!(app.secrets.csrf, apps[0].secrets.csrf);
            app.reload_keys().await.unwrap();
        }
        let metadata = ClientMetadata {
            grant_types: vec![GrantType::ClientCredentials],
            scope: ScopeSet::default(),
            audiences: vec!["https://api.example".to_owned()],
            ..ClientMetadata::default()
        };
        for alg in Algorithm::ALL {
            let metadata = ClientMetadata { access_token_signed_response_alg: alg, ..metadata.clone() };
            let id = alg.as_str();
            let secret = lifecycle::client::create(&apps[0], &Actor::operator(), id, metadata).await.unwrap();
            let client = TestClient {
                id: id.to_owned(),
                secret: secret.map(|secret| secret.expose().to_owned()),
                method: AuthMethod::ClientSecretBasic,
            };
            for signing in &apps {
                let provider = Provider {
                    app: Arc::clone(signing),
                    router: tessera::router::router(signing),
                    clock: signing.clock.clone(),
                    db: Arc::new(TestDatabase::sqlite().await),
                };
                let answer = provider.post(&client, "/token", &[("grant_type", "client_credentials")]).await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                let token = answer.json()["access_token"].as_str().unwrap().to_owned();
                for verifying in &apps {
                    assert!(access_token::verify_live(verifying, &token).await.is_ok());
                }
            }
        }
    }

    async fn a_wrong_key_encryption_key_is_refused_in_words(db: TestDatabase) {
        open_at_once(&db, 1).await;
        let mut wrong = config(&db);
        wrong.keys.master_key = Some(Secret::random().expose().to_owned());
        let refusal = format!("{:#}", App::open(wrong, Clock::system()).await.err().unwrap());
        assert!(refusal.contains("key-encryption key is not the one that sealed this database"), "{refusal}");
        assert!(refusal.contains("TESSERA_MASTER_KEY"), "it says what to do: {refusal}");
        let keys = signing_keys::all(&mut db.store.read().await.unwrap()).await.unwrap();
        assert_eq!(keys.len(), 4, "no new key set is made in silence");
        open_at_once(&db, 1).await;
    }

    /// Each replica applies the clients of the configuration at its start.
    async fn declared_clients_are_applied_by_all_replicas_at_once(db: TestDatabase) {
        let apps = open_at_once(&db, 4).await;
        let declared = |name: &str| -> Vec<DeclaredClient> {
            let declare = |number: u32| DeclaredClient {
                client_id: format!("declared{number}"),
                client_secret: Some(format!("a secret of 32 characters, no {number:03}")),
                metadata: ClientMetadata { client_name: Some(name.to_owned()), ..ClientMetadata::default() },
            };
            (0..20).map(declare).collect()
        };
        for name in ["first", "second"] {
            let clients = declared(name);
            for applied in join_all(apps.iter().map(|app| lifecycle::client::apply_declared(app, &clients))).await {
                applied.unwrap();
            }
            let found = clients::list(&mut db.store.read().await.unwrap(), "", 100).await.unwrap();
            assert_eq!(found.len(), 20);
            assert!(found.iter().all(|client| client.origin == ClientOrigin::Declared && client.display_name() == name && client.secret_hash.is_some()));
        }
    }

    /// Of several rotations at once one is done, and nobody signs with a key that others do not know.
    async fn a_key_is_rotated_once_however_many_ask(db: TestDatabase) {
        let apps = open_at_once(&db, 3).await;
        let actor = Actor::operator();
        let before = apps[0].keyring.current().active_kid(Algorithm::Es256).unwrap().to_owned();
        let rotations = join_all(apps.iter().map(|app| lifecycle::key::rotate(app, &actor, Algorithm::Es256, true))).await;
        assert!(rotations.iter().any(Result::is_ok), "{rotations:?}");
        let keys = signing_keys::all(&mut db.store.read().await.unwrap()).await.unwrap();
        let of = |state| {
            keys.iter()
                .filter(|key| key.alg == Algorithm::Es256 && key.state == state)
                .map(|key| key.kid.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(KeyState::Active).len(), 1);
        assert_ne!(of(KeyState::Active), [before.as_str()]);
        assert_eq!(of(KeyState::Retiring).len(), rotations.iter().filter(|rotation| rotation.is_ok()).count());
        for app in &apps {
            app.reload_keys().await.unwrap();
            assert_eq!(app.keyring.current().active_kid(Algorithm::Es256), Some(of(KeyState::Active)[0]));
        }
    }
}
