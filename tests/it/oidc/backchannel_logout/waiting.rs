//! Several who send, some who are slow, and one who dies meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use tessera::lifecycle;
use tessera::model::Actor;
use tessera::oidc::logout::backchannel;
use tessera::store::logout_deliveries;
use tokio::sync::watch;

use super::{PATH, SignedIn, client, deliver, provider, queued, verified};
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::listening_app::ListeningApp;
use crate::harness::live::{Live, code, http, post};
use crate::harness::provider::{REDIRECT_URI, VERIFIER, claims, new_email};

on_both_engines! {
    async fn of_two_replicas_one_sends(db: TestDatabase) {
        let (provider, app) = (provider(db).await, ListeningApp::start().await);
        let client = client(&provider, "app", &app, |_| {}).await;
        let replica = provider.replica().await;
        let mut sids = BTreeSet::new();
        for _ in 0..10 {
            let person = SignedIn::to(&provider, &client).await;
            sids.insert(person.sid());
            person.end(&provider).await;
        }
        // While the first calls wait for their answers, both replicas look again and again.
        app.hold();
        let (first, second) = tokio::join!(
            async { tokio::join!(backchannel::deliver_due(&provider.app), backchannel::deliver_due(&replica.app)) },
            async {
                app.wait_for(2).await;
                app.release();
                tokio::join!(backchannel::deliver_due(&replica.app), backchannel::deliver_due(&provider.app))
            }
        );
        for outcome in [first.0, first.1, second.0, second.1] {
            outcome.unwrap();
        }
        deliver(&provider).await;
        let calls = app.calls();
        let mut told = Vec::new();
        for call in &calls {
            told.push(verified(&provider, &client, call).await["sid"].as_str().unwrap().to_owned());
        }
        assert_eq!(told.len(), 10, "each once");
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), sids);
        assert!(queued(&provider, &client).await.is_empty());
    }

    /// Whoever sends dies before the answer: another one sends again, but not while the first may still be at it.
    async fn what_a_dead_process_had_taken_is_sent_by_another(db: TestDatabase) {
        let (provider, app) = (provider(db).await, ListeningApp::start().await);
        let client = client(&provider, "app", &app, |_| {}).await;
        let person = SignedIn::to(&provider, &client).await;
        person.end(&provider).await;
        app.hold();
        let dying = tokio::spawn({
            let app = provider.app.clone();
            async move { backchannel::deliver_due(&app).await }
        });
        app.wait_for(1).await;
        dying.abort();
        assert!(dying.await.unwrap_err().is_cancelled());
        app.release();
        let replica = provider.replica().await;
        deliver(&replica).await;
        assert_eq!(app.calls().len(), 1, "it may still be at it");
        let lease = 2 * u64::from(provider.app.config.outbound.timeout) + 20;
        provider.advance(lease - 1);
        deliver(&replica).await;
        assert_eq!(app.calls().len(), 1);
        provider.advance(1);
        deliver(&replica).await;
        assert_eq!(app.calls().len(), 2);
        verified(&provider, &client, &app.calls()[1]).await;
        assert!(queued(&provider, &client).await.is_empty());
    }
}

/// An app that never answers has four calls open, and nobody else waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_app_delays_no_other() {
    let provider = provider(TestDatabase::sqlite().await).await;
    // Another host: the outbound client has a bound for each, too.
    let (slow, quick) = (ListeningApp::start().await, ListeningApp::start_on("127.0.0.2").await);
    let slow_client = client(&provider, "a-slow-one", &slow, |_| {}).await;
    let quick_client = client(&provider, "quick", &quick, |_| {}).await;
    slow.hold();
    for _ in 0..6 {
        SignedIn::to(&provider, &slow_client).await.end(&provider).await;
    }
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(backchannel::run(provider.app.clone(), stopped));
    slow.wait_for(4).await;
    let person = SignedIn::to(&provider, &quick_client).await;
    person.end(&provider).await;
    let calls = quick.wait_for(1).await;
    assert_eq!(verified(&provider, &quick_client, &calls[0]).await["sid"], person.sid().as_str());
    assert_eq!(slow.calls().len(), 4, "no more at once");
    slow.release();
    slow.wait_for(6).await;
    stop.send_replace(true);
    running.await.unwrap();
}

/// The real server: told at once when the browser signs out; and what had failed before `kill -9` is sent after the restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_goes_on_where_it_was() {
    let app = ListeningApp::start().await;
    let mut live = Live::start(TestDatabase::sqlite().await).await;
    let client = live.client("app", |metadata| metadata.backchannel_logout_uri = Some(app.at(PATH))).await;
    let (user, cookie) = live.signed_in(&new_email()).await;
    let code = code(&http(), &live.issuer, &client, &cookie).await;
    let form =
        [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT_URI), ("code_verifier", VERIFIER)];
    let tokens = post(&http(), &live.issuer, &client, "/token", &form).await.unwrap();
    let id_token = claims(tokens.text("id_token"));
    app.answer_next(StatusCode::SERVICE_UNAVAILABLE);
    live.aside(async |app| lifecycle::user::sign_out_everywhere(app, &Actor::operator(), &user.id).await.unwrap()).await;
    app.wait_for(1).await;
    live.line_with("could not be told").await;
    live.kill().await;
    let rest = live
        .aside(async |app| {
            let mut conn = app.store.read().await.unwrap();
            let far = app.now() + Duration::from_secs(86_400);
            logout_deliveries::due_of_client(&mut conn, "app", far, 10).await.unwrap()
        })
        .await;
    assert_eq!((rest.len(), rest[0].session_id.as_str()), (1, id_token["sid"].as_str().unwrap()));
    live.restart().await;
    let calls = app.wait_for(2).await;
    let (first, second) = (claims(&calls[0].form["logout_token"]), claims(&calls[1].form["logout_token"]));
    assert_eq!((&first["sid"], &second["sid"], &second["sub"]), (&id_token["sid"], &id_token["sid"], &id_token["sub"]));
    assert_ne!(first["jti"], second["jti"]);
}
