//! What `tessera forward-auth` does while it cannot know what is revoked: the provider is away, says nothing, or the sidecar itself is
//! gone. Nothing passes then, nobody is told that a good token is bad, and all goes on by itself.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tessera::config::Config;
use tokio::time::{Instant, interval, timeout};

use super::as_configured;
use super::site::Site;
use crate::harness::live::http;
use crate::harness::process::PATIENCE;
use crate::harness::provider::basic;

/// Beyond this age nobody's knowledge counts.
const LIMIT: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_feed_is_away_nothing_passes_and_it_recovers_by_itself() {
    let Some(site) = Site::start(as_configured, &[]).await else { return };
    site.wait_for_readyz(200).await;
    let (token, revoked) = (site.token(&site.ada, "openid").await, site.token(&site.ada, "openid").await);
    site.cluster.revoke(&site.web, &revoked, 0).await;
    site.until(&revoked, 401).await;

    for partition in ["stalled", "closed"] {
        assert_eq!(site.with(&token).await.status, 200);
        match partition {
            "stalled" => site.cluster.gate.stall(),
            _ => site.cluster.gate.close(),
        }
        let (answer, passed) = site.until(&token, 503).await;
        assert!(passed.unwrap_or_default() <= LIMIT, "{partition}: a request passed that began after {passed:?}");
        assert_eq!((answer.retry_after.as_str(), answer.challenge.as_str()), ("1", ""), "{partition}: {answer:?}");
        let direct = site.ask("/verify", &token).await;
        assert_eq!((direct.status, direct.retry_after.as_str()), (503, "1"), "what Traefik and Caddy hand on");
        assert_eq!(site.with(&revoked).await.status, 401, "what is known to be revoked stays refused");
        assert_eq!(site.with("garbage").await.status, 401);
        assert_eq!(site.get("/", &[]).await.status, 401);
        assert_eq!((site.ask("/healthz", "").await.status, site.ask("/readyz", "").await.status), (200, 503));

        // Revoked while nobody here could hear of it.
        let unheard = site.token(&site.ada, "openid").await;
        site.cluster.revoke(&site.web, &unheard, 0).await;
        let answered = Instant::now();
        match partition {
            "stalled" => site.cluster.gate.go_on(),
            _ => site.cluster.gate.open(site.cluster.replicas[0].address),
        }
        site.until(&token, 200).await;
        // What was said on the way before the revocation, and comes through now, counts until it is a second old.
        let before = answered.elapsed();
        let (_, passed) = site.until(&unheard, 401).await;
        let passed = passed.map(|passed| before + passed).unwrap_or_default();
        assert!(
            passed < LIMIT,
            "{partition}: fresh again, it does not know what it had missed, {passed:?} after the provider's answer"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_before_the_provider_and_stops_when_it_is_told() {
    let Some(mut site) = Site::start(as_configured, &[]).await else { return };
    site.wait_for_readyz(200).await;
    let token = site.token(&site.ada, "openid").await;
    assert_eq!(site.with(&token).await.status, 200);

    site.sidecar.process.terminate();
    assert!(site.sidecar.process.ended().await.success());
    assert!(site.sidecar.process.log().iter().any(|line| line.contains("\"stopped\"")));
    let answer = site.once(&token).await;
    assert_eq!((answer.status, answer.retry_after.as_str()), (503, "1"), "without forward-auth nothing passes");
    assert_eq!(site.get("/public/", &[]).await.status, 200);

    site.cluster.gate.close();
    site.sidecar.start_again();
    site.wait_for_readyz(503).await;
    assert_eq!(site.ask("/healthz", "").await.status, 200);
    assert_eq!(site.once(&token).await.status, 503);
    site.cluster.gate.open(site.cluster.replicas[0].address);
    site.wait_for_readyz(200).await;
    assert_eq!(site.with(&token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_introspection_the_provider_is_asked_while_the_feed_is_away() {
    let one_stream = |config: &mut Config| config.limits.revocation_streams = 1;
    let Some(mut site) = Site::start(one_stream, &["--when-stale", "introspect"]).await else { return };
    // Somebody else takes the one place: the feed is away, and the provider is not.
    site.sidecar.process.kill().await;
    let stream = take_the_stream(&site).await;
    site.sidecar.start_again();
    site.wait_for_readyz(503).await;

    let (token, revoked) = (site.token(&site.ada, "openid").await, site.token(&site.ada, "openid").await);
    for token in [&token, &revoked] {
        // Its keys may be fetched a moment later.
        let answer = site.until(token, 200).await.0;
        assert!(answer.identity().contains(&("x-auth-subject".to_owned(), site.ada.id.clone())), "{answer:?}");
    }
    site.cluster.revoke(&site.web, &revoked, 0).await;
    let answer = site.with(&revoked).await;
    assert_eq!(answer.status, 401, "the provider has been asked");
    assert!(answer.challenge.contains("not active"), "{answer:?}");
    assert_eq!(site.with(&token).await.status, 200);
    assert_eq!(site.ask("/readyz", "").await.status, 503, "and all that without the feed");

    // A provider that does not answer: 64 requests wait for it, and no more.
    site.cluster.gate.stall();
    let mut asked: FuturesUnordered<_> = (0..70).map(|_| site.ask("/verify", &token)).collect();
    for _ in 0..6 {
        let answer = asked.next().await.unwrap();
        assert_eq!((answer.status, answer.retry_after.as_str()), (503, "1"), "there is no place to wait");
    }
    site.cluster.gate.go_on();
    while let Some(answer) = asked.next().await {
        assert_eq!(answer.status, 200, "it has waited for the provider");
    }

    site.cluster.gate.close();
    let answer = site.once(&token).await;
    assert_eq!((answer.status, answer.retry_after.as_str()), (503, "1"), "nobody can be asked");
    site.cluster.gate.open(site.cluster.replicas[0].address);
    assert_eq!(site.with(&token).await.status, 200);

    drop(stream);
    site.wait_for_readyz(200).await;
    assert_eq!(site.with(&token).await.status, 200);
    assert_eq!(site.with(&revoked).await.status, 401);
}

/// Follows the feed past the gate. The provider may need a moment to notice that whoever had the place is gone.
async fn take_the_stream(site: &Site) -> reqwest::Response {
    let client = &site.resource_server;
    let url = format!("{}/revocations/stream", site.cluster.replicas[0].origin());
    let mut ticks = interval(Duration::from_millis(50));
    let taking = async {
        loop {
            ticks.tick().await;
            let request = http().get(&url).header("authorization", basic(&client.id, client.secret.as_deref().unwrap()));
            let answer = request.send().await.unwrap();
            if answer.status().as_u16() == 200 {
                return answer;
            }
            assert_eq!(answer.status().as_u16(), 503, "{answer:?}");
        }
    };
    timeout(PATIENCE, taking).await.expect("the place becomes free")
}
