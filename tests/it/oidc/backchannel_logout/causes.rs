//! Every way in which a session ends tells its apps.

use tessera::lifecycle;
use tessera::model::Actor;

use super::{SignedIn, client, deliver, provider, queued, verified};
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::listening_app::ListeningApp;
use crate::harness::process::Process;
use crate::harness::provider::{MASTER_KEY, PASSWORD, Provider, TestClient, Tokens, encode, new_email};

const NEW_PASSWORD: &str = "a new and longer battery staple";

/// The ways. Each ends the session that `person` has.
const CAUSES: [&str; 12] = [
    "sign-out button",
    "this browser on the sessions page",
    "another browser on the sessions page",
    "everywhere else",
    "confirmed logout",
    "password change",
    "password set by an operator",
    "signed out everywhere",
    "account disabled",
    "account deleted",
    "somebody else signs in",
    "stolen refresh token",
];

async fn happens(cause: &str, provider: &Provider, client: &TestClient, person: &mut SignedIn) {
    let (app, id, sid) = (&*provider.app, person.user.id.clone(), person.sid());
    let operator = Actor::operator();
    let browser = &mut person.browser;
    match cause {
        "sign-out button" => drop(browser.fill_in("/account", "/sign-out", &[("sign_out", "yes")]).await),
        "this browser on the sessions page" => {
            drop(browser.fill_in("/account/sessions", "/account/sessions", &[("end_session", &sid)]).await)
        }
        "another browser on the sessions page" => {
            let mut other = provider.signed_in(&person.user).await;
            drop(other.fill_in("/account/sessions", "/account/sessions", &[("end_session", &sid)]).await)
        }
        "everywhere else" => {
            let mut other = provider.signed_in(&person.user).await;
            drop(other.fill_in("/account/sessions", "/account/sessions", &[("sign_out_everywhere_else", "yes")]).await)
        }
        "confirmed logout" => drop(browser.fill_in("/logout", "/logout/confirm", &[("confirm_sign_out", "yes")]).await),
        "password change" => {
            let fields = [("current_password", PASSWORD), ("new_password", NEW_PASSWORD), ("new_password_again", NEW_PASSWORD)];
            drop(browser.fill_in("/account/password", "/account/password", &fields).await)
        }
        "password set by an operator" => lifecycle::user::change_password(app, &operator, &id, "x").await.unwrap(),
        "signed out everywhere" => lifecycle::user::sign_out_everywhere(app, &operator, &id).await.unwrap(),
        "account disabled" => assert!(lifecycle::user::disable(app, &operator, &id).await.unwrap()),
        "account deleted" => assert!(lifecycle::user::delete(app, &operator, &id).await.unwrap()),
        "somebody else signs in" => {
            let email = new_email();
            provider.user(&email).await;
            drop(browser.enter("/login?account=another", &email, PASSWORD).await)
        }
        "stolen refresh token" => {
            let first = provider.tokens(client, browser, "openid").await;
            let second = Tokens::from(&provider.refresh(client, first.refresh()).await);
            Tokens::from(&provider.refresh(client, second.refresh()).await);
            assert_eq!(provider.refresh(client, first.refresh()).await.error(), "invalid_grant");
        }
        other => panic!("{other}"),
    }
}

on_both_engines! {
    async fn however_a_session_ends_its_apps_are_told(db: TestDatabase) {
        let (provider, app) = (provider(db).await, ListeningApp::start().await);
        let client = client(&provider, "app", &app, |_| {}).await;
        for (index, cause) in CAUSES.into_iter().enumerate() {
            let mut person = SignedIn::to(&provider, &client).await;
            happens(cause, &provider, &client, &mut person).await;
            deliver(&provider).await;
            let calls = app.calls();
            assert_eq!(calls.len(), index + 1, "{cause}");
            let token = verified(&provider, &client, calls.last().unwrap()).await;
            assert_eq!((&token["sid"], &token["sub"]), (&person.sid().into(), &person.user.id.as_str().into()), "{cause}");
            assert!(queued(&provider, &client).await.is_empty(), "{cause}");
        }
    }

    /// The next morning: the session has run out by itself, which told nobody; now one of its apps signs out.
    async fn signing_out_of_one_app_tells_the_others_of_a_session_that_ran_out(db: TestDatabase) {
        let (provider, app) = (provider(db).await, ListeningApp::start().await);
        let client = client(&provider, "app", &app, |_| {}).await;
        let idle = u64::from(provider.app.config.sessions.idle_lifetime) + 1;
        let mut person = SignedIn::to(&provider, &client).await;
        let elsewhere = SignedIn::to(&provider, &client).await;
        let path = |person: &SignedIn| format!("/logout?{}", encode(&[("id_token_hint", &person.id_token)]));
        // Somebody else's session, in whose browser this is not, stays.
        person.browser.cookies.clear();
        person.browser.get(&path(&elsewhere)).await;
        deliver(&provider).await;
        assert!(app.calls().is_empty(), "it is alive");
        provider.advance(idle);
        person.browser.get(&path(&person)).await;
        deliver(&provider).await;
        let calls = app.calls();
        assert_eq!(calls.len(), 1);
        assert_eq!(verified(&provider, &client, &calls[0]).await["sid"], person.sid().as_str());
        person.browser.get(&path(&person)).await;
        deliver(&provider).await;
        assert_eq!(app.calls().len(), 1, "once");
    }

    /// What ends a sign-in only for us, or not at all, is no logout.
    async fn what_does_not_end_a_session_tells_nobody(db: TestDatabase) {
        let (provider, app) = (provider(db).await, ListeningApp::start().await);
        let client = client(&provider, "app", &app, |_| {}).await;
        let mut person = SignedIn::to(&provider, &client).await;
        let refresh_token = provider.tokens(&client, &mut person.browser, "openid").await.refresh_token.unwrap();
        // The same person proves again who they are: the session goes on.
        provider.advance(5);
        person.browser.enter("/login?account=another", &person.user.email, PASSWORD).await;
        provider.post(&client, "/revoke", &[("token", &refresh_token)]).await;
        lifecycle::family::remove_app(&provider.app, &Actor::operator(), &person.user.id, "app").await.unwrap();
        // It expires: so does what the app was promised.
        provider.advance(u64::from(provider.app.config.sessions.lifetime) + 1);
        deliver(&provider).await;
        assert!(app.calls().is_empty() && queued(&provider, &client).await.is_empty());
    }

    /// A command in another process: this one finds out by itself.
    async fn a_session_that_a_command_ended_is_told_by_the_server(db: TestDatabase) {
        let (provider, app) = (provider(db).await, ListeningApp::start().await);
        let client = client(&provider, "app", &app, |_| {}).await;
        let person = SignedIn::to(&provider, &client).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let running = tokio::spawn(tessera::oidc::logout::backchannel::run(provider.app.clone(), stopped));
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            ("TESSERA_DATABASE_URL", provider.db.url.as_str()),
            ("TESSERA_MASTER_KEY", MASTER_KEY),
            ("TESSERA_ISSUER", provider.app.issuer.url.as_str()),
        ];
        let mut command = Process::start(&["user", "disable", &person.user.email], folder.path(), &settings);
        assert!(command.ended().await.success());
        // The command's clock is the machine's, which is behind the test's.
        let calls = app.wait_for(1).await;
        assert_eq!(verified(&provider, &client, &calls[0]).await["sid"], person.sid().as_str());
        stop.send_replace(true);
        running.await.unwrap();
    }
}

/// Where the sender is woken.
#[tokio::test]
async fn the_sender_is_woken_when_a_session_ends() {
    use futures_util::FutureExt;
    let (provider, app) = (provider(TestDatabase::sqlite().await).await, ListeningApp::start().await);
    let client = client(&provider, "app", &app, |_| {}).await;
    let mut person = SignedIn::to(&provider, &client).await;
    let token = provider.tokens(&client, &mut person.browser, "openid").await.access_token;
    provider.post(&client, "/revoke", &[("token", &token)]).await;
    let woken = || provider.app.revocations.session_ended().now_or_never().is_some();
    assert!(!woken(), "a token was revoked, and no session ended");
    person.end(&provider).await;
    assert!(woken() && !woken());
    // By another replica, once this one has read the log.
    let replica = provider.replica().await;
    SignedIn::to(&provider, &client).await.end(&replica).await;
    assert!(!woken());
    provider.app.revocations.follow().await.unwrap();
    assert!(woken());
}
