//! The promise: whatever takes a token back, at whichever replica, a resource server that is called in a tight loop and asks nobody
//! accepts it no later than a second after the provider's answer; and goes on accepting those that are not concerned.

use std::time::Duration;

use tessera::app::App;
use tessera::lifecycle;
use tessera::model::client::GrantType;
use tessera::model::{Actor, Algorithm, AuditKind, Revocation, User};
use tessera::revocation;
use tessera_verifier::Kind::{self, ClientId, Jti, Kid, Sid, Sub};
use tokio::time::Instant;

use crate::harness::calls::Calls;
use crate::harness::cluster::{Cluster, Grant};
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{TestClient, claims, header, new_email};
use crate::harness::redis::SharedRedis;

/// Whatever takes tokens back.
#[derive(Clone, Copy, Debug)]
enum Cause {
    // Over HTTP.
    TokenRevoked,
    RefreshTokenRevoked,
    CodeReplayed,
    RefreshTokenStolen,
    // As pages and commands do it.
    AppRemoved,
    SessionEnded,
    AllSessionsEnded,
    PasswordChanged,
    SignedOutEverywhere,
    UserDisabled,
    UserDeleted,
    ClientDisabled,
    ClientSecretCompromised,
    ClientDeleted,
    // Where the above give two reasons at once: the entry alone.
    UserCutOff,
}

/// By which entries each may be refused; whichever the resource server meets first.
const CAUSES: [(Cause, &[Kind]); 15] = [
    (Cause::TokenRevoked, &[Jti]),
    (Cause::RefreshTokenRevoked, &[Jti]),
    (Cause::CodeReplayed, &[Jti]),
    (Cause::RefreshTokenStolen, &[Jti, Sid]),
    (Cause::AppRemoved, &[Jti]),
    (Cause::SessionEnded, &[Sid]),
    (Cause::AllSessionsEnded, &[Sid]),
    (Cause::PasswordChanged, &[Sub, Sid]),
    (Cause::SignedOutEverywhere, &[Sub, Sid]),
    (Cause::UserDisabled, &[Sub, Sid]),
    (Cause::UserDeleted, &[Sub, Sid]),
    (Cause::ClientDisabled, &[ClientId]),
    (Cause::ClientSecretCompromised, &[ClientId]),
    (Cause::ClientDeleted, &[ClientId]),
    (Cause::UserCutOff, &[Sub]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    everything_is_refused_in_time("SQLite, one replica", TestDatabase::sqlite().await, 1, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_alone() {
    let Some(db) = TestDatabase::postgres().await else { return };
    everything_is_refused_in_time("PostgreSQL alone, two replicas", db, 2, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_and_redis() {
    let (Some(redis), Some(db)) = (SharedRedis::reserve(), TestDatabase::postgres().await) else { return };
    everything_is_refused_in_time("PostgreSQL and Redis, two replicas", db, 2, Some(redis)).await;
}

/// The resource server is connected to the first replica; tokens are taken back at the last.
async fn everything_is_refused_in_time(name: &str, db: TestDatabase, replicas: usize, redis: Option<SharedRedis>) {
    let cluster = Cluster::start(db, replicas, |config| {
        // A refresh token that comes a second time is stolen, however soon.
        config.tokens.refresh_retry_grace = 0;
        config.redis.url = redis.as_ref().map(|redis| redis.url.clone());
        config.redis.prefix = redis.map_or_else(String::new, |redis| redis.prefix);
    })
    .await;
    let at = replicas - 1;
    let verifier = cluster.verifier(&cluster.resource_server("api").await).await;
    let others = [Algorithm::Es256, Algorithm::Rs256].map(async |alg| {
        let client = client(&cluster, &format!("other-{}", alg.as_str()), alg).await;
        cluster.token_of(&cluster.user(&new_email()).await, &client, 0).await
    });
    let [es256, rs256] = others;
    let (es256, rs256) = (es256.await, rs256.await);
    assert_eq!((&header(&es256)["alg"], &header(&rs256)["alg"]), (&"ES256".into(), &"RS256".into()));

    let mut measured = Vec::new();
    for (number, (cause, kinds)) in CAUSES.into_iter().enumerate() {
        let client = client(&cluster, &format!("app{number}"), [Algorithm::Es256, Algorithm::Rs256][number % 2]).await;
        let user = cluster.user(&new_email()).await;
        let grant = cluster.grant(&user, &client, number % replicas).await;
        let calls = Calls::begin(&verifier, &[&grant.access_token, &es256, &rs256]);
        calls.accepted(&[0, 1, 2]).await;
        take_back(&cluster, cause, &user, &client, &grant, at).await;
        let answered = Instant::now();
        let (after, kind) = calls.revoked(0, answered).await;
        assert!(kinds.contains(&kind), "{cause:?} refuses by {kind:?}");
        calls.accepted(&[1, 2]).await;
        (1..=2).for_each(|other| calls.never_revoked(other));
        calls.kept_promise(0, answered);
        measured.push((format!("{cause:?}"), after));
    }

    let revoke_key = async |of: &str, other: &str| {
        let calls = Calls::begin(&verifier, &[of, other]);
        calls.accepted(&[0, 1]).await;
        let kid = header(of)["kid"].clone();
        assert!(lifecycle::key::revoke(&cluster.replicas[at].app, &Actor::operator(), kid.as_str().unwrap()).await.unwrap());
        let answered = Instant::now();
        let (after, kind) = calls.revoked(0, answered).await;
        assert_eq!(kind, Kid);
        calls.accepted(&[1]).await;
        calls.never_revoked(1);
        calls.kept_promise(0, answered);
        after
    };
    measured.push(("KeyRevoked (RS256)".to_owned(), revoke_key(&rs256, &es256).await));
    let client = client(&cluster, "after", Algorithm::Rs256).await;
    let after = cluster.token_of(&cluster.user(&new_email()).await, &client, at).await;
    measured.push(("KeyRevoked (ES256)".to_owned(), revoke_key(&es256, &after).await));
    print(name, &measured);
}

async fn client(cluster: &Cluster, id: &str, alg: Algorithm) -> TestClient {
    cluster
        .client(id, |metadata| {
            metadata.redirect_uris = vec![crate::harness::provider::REDIRECT_URI.to_owned()];
            metadata.grant_types = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
            metadata.access_token_signed_response_alg = alg;
        })
        .await
}

/// When this returns, the provider has answered.
async fn take_back(cluster: &Cluster, cause: Cause, user: &User, client: &TestClient, grant: &Grant, at: usize) {
    let (app, actor) = (&*cluster.replicas[at].app, &Actor::operator());
    let done = match cause {
        Cause::TokenRevoked => return cluster.revoke(client, &grant.access_token, at).await,
        Cause::RefreshTokenRevoked => return cluster.revoke(client, &grant.refresh_token, at).await,
        Cause::CodeReplayed => cluster.redeem(client, &grant.code, at).await.text("error") == "invalid_grant",
        Cause::RefreshTokenStolen => {
            let used = cluster.refresh(client, &grant.refresh_token, at).await;
            used.status == 200 && cluster.refresh(client, &grant.refresh_token, at).await.text("error") == "invalid_grant"
        }
        Cause::AppRemoved => lifecycle::family::remove_app(app, actor, &user.id, &client.id).await.is_ok(),
        Cause::SessionEnded => {
            let sid = claims(&grant.access_token)["sid"].clone();
            lifecycle::session::end(app, actor, AuditKind::SignedOut, sid.as_str().unwrap()).await.unwrap()
        }
        Cause::AllSessionsEnded => lifecycle::session::end_all(app, actor, &user.id, None).await.unwrap() == 1,
        Cause::PasswordChanged => lifecycle::user::change_password(app, actor, &user.id, "a new hash").await.is_ok(),
        Cause::SignedOutEverywhere => lifecycle::user::sign_out_everywhere(app, actor, &user.id).await.is_ok(),
        Cause::UserDisabled => lifecycle::user::disable(app, actor, &user.id).await.unwrap(),
        Cause::UserDeleted => lifecycle::user::delete(app, actor, &user.id).await.unwrap(),
        Cause::ClientDisabled => lifecycle::client::disable(app, actor, &client.id).await.unwrap(),
        Cause::ClientSecretCompromised => lifecycle::client::rotate_secret(app, actor, &client.id, true).await.is_ok(),
        Cause::ClientDeleted => lifecycle::client::delete(app, actor, &client.id).await.unwrap(),
        Cause::UserCutOff => commit(app, revocation::user(&user.id, app.now() + Duration::from_secs(1))).await,
    };
    assert!(done, "{cause:?}");
}

async fn commit(app: &App, entry: Revocation) -> bool {
    app.revocations.commit(app.store.begin().await.unwrap(), vec![entry]).await.is_ok()
}

/// For the release's notes: `cargo test … -- --nocapture`.
fn print(name: &str, measured: &[(String, Duration)]) {
    let mut all: Vec<Duration> = measured.iter().map(|(_, after)| *after).collect();
    all.sort_unstable();
    println!("{name}: refused after the provider's answer, median {:?}, at most {:?}", all[all.len() / 2], all[all.len() - 1]);
    for (cause, after) in measured {
        println!("  {cause:<26} {:>7.1} ms", after.as_secs_f64() * 1000.0);
    }
}
