//! The promise, through nginx: a request that begins a second after the provider has said that a token is revoked is refused. And
//! nobody was asked about it.

use std::time::Duration;

use tessera::lifecycle;
use tessera::model::{Actor, AuditKind};

use super::as_configured;
use super::site::Site;
use crate::harness::provider::claims;

const PROMISE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_refused_within_a_second() {
    let Some(site) = Site::start(as_configured, &[]).await else { return };
    site.wait_for_readyz(200).await;
    let app = site.cluster.app().clone();
    let actor = Actor::operator();
    for what in ["token", "session", "user", "client"] {
        let user = site.cluster.user(&format!("{what}@example.com")).await;
        let other = site.token(&site.ada, "openid").await;
        let token = site.token(&user, "openid").await;
        assert_eq!((site.with(&token).await.status, site.with(&other).await.status), (200, 200), "{what}");
        match what {
            "token" => site.cluster.revoke(&site.web, &token, 0).await,
            "session" => {
                let sid = claims(&token)["sid"].as_str().unwrap().to_owned();
                assert!(lifecycle::session::end(&app, &actor, AuditKind::SessionEnded, &sid).await.unwrap());
            }
            "user" => assert!(lifecycle::user::disable(&app, &actor, &user.id).await.unwrap()),
            _ => assert!(lifecycle::client::disable(&app, &actor, &site.web.id).await.unwrap()),
        }
        // From here on the provider has answered.
        let (answer, passed) = site.until(&token, 401).await;
        let passed = passed.unwrap_or_default();
        println!("{what}: the last request that passed began {passed:?} after the provider's answer");
        assert!(passed < PROMISE, "{what}: a request that began {passed:?} after the provider's answer passed");
        assert!(answer.challenge.contains("error_description=\"revoked by "), "{what}: {answer:?}");
        let others = site.with(&other).await.status;
        assert_eq!(others, if what == "client" { 401 } else { 200 }, "{what}: who else is concerned");
    }
}
