//! Apps that do not take the news: what is tried again, what is not, and who sees it.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use tessera::clock::Timestamp;
use tessera::jobs;
use tessera::lifecycle;
use tessera::model::{Actor, AuditEvent, AuditKind};
use tessera::store::{audit, clients, logout_deliveries};

use super::{PATH, SignedIn, client, deliver, provider, queued, verified};
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::listening_app::ListeningApp;
use crate::harness::provider::Provider;

async fn not_delivered(provider: &Provider) -> Vec<AuditEvent> {
    let all = audit::latest(&mut provider.app.store.read().await.unwrap(), 1_000).await.unwrap();
    all.into_iter().filter(|event| event.kind == AuditKind::LogoutNotDelivered).collect()
}

/// What an operator reads in `tessera client logout-failures`.
async fn reasons(provider: &Provider) -> Vec<(String, i64, i64)> {
    let failures = logout_deliveries::failures(&mut provider.app.store.read().await.unwrap()).await.unwrap();
    failures.into_iter().map(|(_, reason, again, given_up, _)| (reason, again, given_up)).collect()
}

fn advance_to(provider: &Provider, moment: Timestamp) {
    provider.clock.advance(moment.since(provider.app.now()));
}

on_both_engines! {
    async fn what_fails_is_tried_again_later_with_a_fresh_token(db: TestDatabase) {
        let (provider, app) = (provider(db).await, ListeningApp::start().await);
        let client = client(&provider, "app", &app, |_| {}).await;
        let person = SignedIn::to(&provider, &client).await;
        let outages = [503, 500, 404, 429, 302];
        for status in &outages {
            let status = StatusCode::from_u16(*status).unwrap();
            app.answer_next((status, [(LOCATION, "/elsewhere")]));
        }
        person.end(&provider).await;
        let mut seen = Vec::new();
        for attempt in 1..=5_usize {
            deliver(&provider).await;
            assert_eq!(app.calls().len(), attempt);
            seen.push(verified(&provider, &client, &app.calls()[attempt - 1]).await);
            let row = queued(&provider, &client).await.remove(0);
            let wait = row.next_attempt_at.since(provider.app.now());
            let least = Duration::from_secs(5 << (attempt - 1));
            assert!(wait >= least && wait < least + least / 4, "attempt {attempt}: {wait:?}");
            assert_eq!(row.last_error.as_deref(), Some(format!("it answered {}", outages[attempt - 1]).as_str()));
            // Not a moment earlier.
            provider.clock.advance(wait - Duration::from_micros(1));
            deliver(&provider).await;
            assert_eq!(app.calls().len(), attempt);
            advance_to(&provider, row.next_attempt_at);
        }
        deliver(&provider).await;
        seen.push(verified(&provider, &client, &app.wait_for(6).await[5]).await);
        assert!(app.calls().iter().all(|call| call.path == PATH), "no redirect is followed");
        assert!(queued(&provider, &client).await.is_empty() && reasons(&provider).await.is_empty());
        let distinct = |name: &str| {
            let mut values: Vec<String> = seen.iter().map(|claims| claims[name].to_string()).collect();
            values.sort();
            values.dedup();
            values.len()
        };
        assert_eq!((distinct("jti"), distinct("iat"), distinct("sid"), distinct("sub")), (6, 6, 1, 1));
        assert!(not_delivered(&provider).await.is_empty());
    }

    /// §2.8, §2.5: who has understood and refuses is not asked again.
    async fn a_refusal_is_final_and_seen(db: TestDatabase) {
        let (provider, app) = (provider(db).await, ListeningApp::start().await);
        let client = client(&provider, "app", &app, |_| {}).await;
        for (index, status) in [400, 401, 403, 410, 415].into_iter().enumerate() {
            let person = SignedIn::to(&provider, &client).await;
            app.answer_next(StatusCode::from_u16(status).unwrap());
            person.end(&provider).await;
            deliver(&provider).await;
            provider.advance(86_400);
            deliver(&provider).await;
            assert_eq!(app.calls().len(), index + 1, "{status}");
            assert!(reasons(&provider).await.contains(&(format!("it answered {status}"), 0, 1)), "{status}");
            let event = not_delivered(&provider).await.remove(0);
            assert_eq!((event.subject.as_str(), event.actor.as_str()), ("client:app", "provider"));
            assert_eq!(event.detail["session"], person.sid().as_str());
        }
        for status in [200, 204] {
            let person = SignedIn::to(&provider, &client).await;
            app.answer_next(StatusCode::from_u16(status).unwrap());
            person.end(&provider).await;
            deliver(&provider).await;
            assert!(queued(&provider, &client).await.is_empty(), "{status}");
        }
        // Kept for a week.
        jobs::clean_up(&provider.app).await.unwrap();
        assert_eq!(reasons(&provider).await.len(), 5);
        provider.advance(8 * 86_400);
        jobs::clean_up(&provider.app).await.unwrap();
        assert!(reasons(&provider).await.is_empty());
    }

    async fn after_a_day_it_is_given_up(db: TestDatabase) {
        let (provider, app) = (provider(db).await, ListeningApp::start().await);
        let client = client(&provider, "app", &app, |_| {}).await;
        let person = SignedIn::to(&provider, &client).await;
        let ended_at = provider.app.now();
        person.end(&provider).await;
        let mut attempts = 0;
        while not_delivered(&provider).await.is_empty() {
            app.answer_next(StatusCode::BAD_GATEWAY);
            deliver(&provider).await;
            attempts += 1;
            assert_eq!(app.calls().len(), attempts);
            if let Some(row) = queued(&provider, &client).await.first() {
                advance_to(&provider, row.next_attempt_at);
            }
        }
        let lasted = provider.app.now().since(ended_at);
        assert!(lasted > Duration::from_secs(22 * 3_600) && lasted <= Duration::from_secs(24 * 3_600), "{lasted:?}");
        assert!((25..=35).contains(&attempts), "{attempts}");
        assert_eq!(reasons(&provider).await, [("it answered 502".to_owned(), 0, 1)]);
        provider.advance(3_600);
        deliver(&provider).await;
        assert_eq!(app.calls().len(), attempts, "and not tried again");
    }
}

/// Nobody listens, and the answer never comes: failures like any other.
#[tokio::test]
async fn an_app_that_cannot_be_reached_is_a_failure_in_words() {
    let (provider, app) = (provider(TestDatabase::sqlite().await).await, ListeningApp::start().await);
    let client = client(&provider, "app", &app, |_| {}).await;
    let person = SignedIn::to(&provider, &client).await;
    drop(app);
    person.end(&provider).await;
    deliver(&provider).await;
    let (reason, again, given_up) = reasons(&provider).await.remove(0);
    assert!(reason.starts_with("no connection") && (again, given_up) == (1, 0), "{reason}");
}

/// The figures that an operator may be woken by.
#[tokio::test]
async fn deliveries_are_counted() {
    let configured = Provider::configured(TestDatabase::sqlite().await, |config| {
        super::reach_loopback(config);
        config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    });
    let (provider, app) = (configured.await, ListeningApp::start().await);
    let client = client(&provider, "app", &app, |_| {}).await;
    for status in [200, 503, 400] {
        app.answer_next(StatusCode::from_u16(status).unwrap());
        SignedIn::to(&provider, &client).await.end(&provider).await;
        deliver(&provider).await;
    }
    deliver(&provider).await;
    let text = provider.app.metrics.render();
    for line in [
        "tessera_logout_deliveries_total{outcome=\"delivered\"} 1",
        "tessera_logout_deliveries_total{outcome=\"failed\"} 1",
        "tessera_logout_deliveries_total{outcome=\"given_up\"} 1",
        "tessera_logout_deliveries_waiting 1",
    ] {
        assert!(text.lines().any(|seen| seen == line), "{line} is missing in\n{text}");
    }
}

/// SSRF: an address inside is not called, whoever registered it, and the operator reads why.
#[tokio::test]
async fn a_private_address_is_refused_and_seen() {
    let (provider, app) = (Provider::new(TestDatabase::sqlite().await).await, ListeningApp::start().await);
    let client = client(&provider, "app", &app, |_| {}).await;
    let person = SignedIn::to(&provider, &client).await;
    person.end(&provider).await;
    deliver(&provider).await;
    assert!(app.calls().is_empty());
    let (reason, ..) = reasons(&provider).await.remove(0);
    assert!(reason.contains("outbound.allow_networks"), "{reason}");
    assert_eq!(queued(&provider, &client).await[0].attempts, 1);
}

/// What an operator changes meanwhile counts at the next attempt.
#[tokio::test]
async fn the_client_is_read_anew_for_each_attempt() {
    let provider = provider(TestDatabase::sqlite().await).await;
    let (app, moved) = (ListeningApp::start().await, ListeningApp::start().await);
    let client = client(&provider, "app", &app, |_| {}).await;
    let set = async |uri: Option<String>| {
        let found = clients::find(&mut provider.app.store.read().await.unwrap(), "app").await.unwrap().unwrap();
        let mut metadata = found.metadata.0.clone();
        metadata.backchannel_logout_uri = uri;
        lifecycle::client::update(&provider.app, &Actor::operator(), &found, metadata).await.unwrap();
    };
    app.answer_next(StatusCode::SERVICE_UNAVAILABLE);
    SignedIn::to(&provider, &client).await.end(&provider).await;
    deliver(&provider).await;
    set(Some(moved.at(PATH))).await;
    // A client that is switched off holds sessions of people, too.
    lifecycle::client::disable(&provider.app, &Actor::operator(), "app").await.unwrap();
    advance_to(&provider, queued(&provider, &client).await[0].next_attempt_at);
    deliver(&provider).await;
    assert_eq!((app.calls().len(), moved.calls().len()), (1, 1));

    lifecycle::client::enable(&provider.app, &Actor::operator(), "app").await.unwrap();
    provider.advance(5);
    moved.answer_next(StatusCode::SERVICE_UNAVAILABLE);
    SignedIn::to(&provider, &client).await.end(&provider).await;
    deliver(&provider).await;
    set(None).await;
    advance_to(&provider, queued(&provider, &client).await[0].next_attempt_at);
    deliver(&provider).await;
    assert_eq!(moved.calls().len(), 2, "it wants nothing any more");
    assert!(queued(&provider, &client).await.is_empty());
}
