//! A person at a real browser: signs in, is asked, says no and yes, changes the password, looks around, signs out. Each page is
//! kept as a picture.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use fantoccini::{Client, Locator};
use tessera::model::{ClientMetadata, ScopeSet};
use tokio::net::TcpListener;

use crate::harness::browser::Browser;
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{PASSWORD, Provider, TestClient, Tokens, VERIFIER, authorize_path, new_email};

/// Longer than any page takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

const NEW_PASSWORD: &str = "a new and longer battery staple";

/// A provider on a real socket, an app that only receives, and a browser.
struct Scene {
    provider: Provider,
    client: TestClient,
    /// Where the app takes its codes.
    callback: String,
    issuer: String,
    email: String,
    browser: Browser,
}

impl Scene {
    async fn open(width: u32, height: u32) -> Option<Self> {
        let browser = Browser::open(width, height).await?;
        let (ours, apps) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let issuer = format!("http://{}", ours.local_addr().unwrap());
        let callback = format!("http://{}/callback", apps.local_addr().unwrap());
        let database = TestDatabase::sqlite().await;
        let provider = Provider::configured(database, |config| config.issuer = issuer.clone()).await;
        let service = provider.router.clone().into_make_service();
        tokio::spawn(async move { axum::serve(ours, service).await });
        let app = Router::new().fallback(get(async || "The app has its answer."));
        tokio::spawn(async move { axum::serve(apps, app).await });
        let register = |metadata: &mut ClientMetadata| {
            metadata.client_name = Some("Ledger".to_owned());
            metadata.client_uri = Some("https://ledger.example/".to_owned());
            metadata.policy_uri = Some("https://ledger.example/privacy".to_owned());
            metadata.redirect_uris = vec![callback.clone()];
            metadata.skip_consent = false;
            metadata.scope = ScopeSet::from("openid profile email offline_access".to_owned());
        };
        let client = provider.client("ledger", register).await;
        let email = new_email();
        provider.user(&email).await;
        Some(Self { provider, client, callback, issuer, email, browser })
    }

    fn page(&self) -> &Client {
        &self.browser.client
    }

    async fn go(&self, path: &str) {
        self.page().goto(&format!("{}{path}", self.issuer)).await.unwrap();
    }

    /// Sends the browser to the provider as the app does.
    async fn ask_for_tokens(&self, change: &[(&str, &str)]) {
        let all: Vec<_> = [("redirect_uri", self.callback.as_str()), ("scope", "openid profile email offline_access")]
            .into_iter()
            .chain(change.iter().copied())
            .collect();
        self.go(&authorize_path(&self.client, &all)).await;
    }

    async fn fill(&self, id: &str, text: &str) {
        let field = self.page().wait().at_most(PATIENCE).for_element(Locator::Id(id)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses a button, and waits for the page that it leads to: what is looked for next must not be found in the old one.
    async fn press(&self, id: &str) {
        let button = self.page().wait().at_most(PATIENCE).for_element(Locator::Id(id)).await.unwrap();
        self.page().execute("window.isOld = true", vec![]).await.unwrap();
        button.click().await.unwrap();
        let new_page = async {
            let question = "return window.isOld !== true && document.readyState === 'complete'";
            while self.page().execute(question, vec![]).await.ok() != Some(true.into()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, new_page).await.expect("a new page comes");
    }

    async fn sign_in(&self, password: &str) {
        self.fill("email", &self.email).await;
        self.fill("password", password).await;
        self.press("sign-in").await;
    }

    async fn see(&self, css: &str) -> String {
        let element = self.page().wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        element.unwrap_or_else(|error| panic!("{css}: {error}")).text().await.unwrap()
    }

    /// Waits until the browser is back at the app, and gives a parameter of its answer.
    async fn answer(&self, name: &str) -> String {
        let url = async {
            loop {
                let url = self.page().current_url().await.unwrap();
                if url.as_str().starts_with(&self.callback) {
                    return url;
                }
                tokio::task::yield_now().await;
            }
        };
        let url = tokio::time::timeout(PATIENCE, url).await.expect("the browser comes back to the app");
        assert!(url.query_pairs().any(|(key, value)| key == "iss" && value == self.issuer.as_str()), "{url}");
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_else(|| panic!("{name} in {url}"))
    }

    async fn redeem(&self, code: &str) -> Tokens {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.callback.as_str()),
            ("code_verifier", VERIFIER),
        ];
        Tokens::from(&self.provider.post(&self.client, "/token", &form).await)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_says_no_says_yes_and_signs_out() {
    let Some(scene) = Scene::open(1000, 900).await else { return };

    // Wrong password, right password, consent: no.
    scene.ask_for_tokens(&[]).await;
    scene.see("#password").await;
    scene.browser.picture("sign-in").await;
    scene.sign_in("wrong").await;
    assert!(scene.see("[role=alert]").await.contains("password"));
    scene.browser.picture("sign-in-refused").await;
    scene.sign_in(PASSWORD).await;
    assert!(scene.see("h1").await.contains("Ledger"));
    scene.browser.picture("consent").await;
    scene.press("deny").await;
    assert_eq!(scene.answer("error").await, "access_denied");

    // Asked again, since nothing was granted: yes. Then not asked any more.
    scene.ask_for_tokens(&[]).await;
    scene.press("allow").await;
    let first = scene.redeem(&scene.answer("code").await).await;
    assert!(scene.provider.accepts(&first.access_token).await);
    scene.ask_for_tokens(&[("prompt", "none")]).await;
    scene.redeem(&scene.answer("code").await).await;

    // Proving it again, and choosing an account.
    scene.provider.advance(5);
    scene.ask_for_tokens(&[("prompt", "login")]).await;
    scene.see("#password").await;
    scene.browser.picture("sign-in-again").await;
    scene.fill("password", PASSWORD).await;
    scene.press("sign-in").await;
    scene.answer("code").await;
    scene.provider.advance(5);
    scene.ask_for_tokens(&[("prompt", "select_account")]).await;
    scene.see("#continue-as").await;
    scene.browser.picture("select-account").await;
    scene.press("continue-as").await;
    scene.answer("code").await;

    // The account: removing the app ends its access and makes it ask again.
    for (path, picture) in [("/account", "account"), ("/account/sessions", "account-sessions"), ("/account/apps", "account-apps")]
    {
        scene.go(path).await;
        scene.see("h1").await;
        scene.browser.picture(picture).await;
    }
    scene.press("remove-app-ledger").await;
    scene.see("[role=status]").await;
    assert!(!scene.provider.accepts(&first.access_token).await, "removed");
    scene.ask_for_tokens(&[]).await;
    scene.press("allow").await;
    let second = scene.redeem(&scene.answer("code").await).await;

    // A new password ends everything from before it, but not this browser.
    scene.provider.advance(5);
    scene.go("/account/password").await;
    scene.browser.picture("account-password").await;
    scene.fill("current_password", PASSWORD).await;
    scene.fill("new_password", NEW_PASSWORD).await;
    scene.fill("new_password_again", NEW_PASSWORD).await;
    scene.press("change-password").await;
    scene.see("[role=status]").await;
    scene.browser.picture("account-password-changed").await;
    assert!(!scene.provider.accepts(&second.access_token).await, "from before the change");
    let form = [("grant_type", "refresh_token"), ("refresh_token", second.refresh())];
    assert_eq!(scene.provider.post(&scene.client, "/token", &form).await.error(), "invalid_grant");
    scene.ask_for_tokens(&[("prompt", "none")]).await;
    let third = scene.redeem(&scene.answer("code").await).await;
    assert!(scene.provider.accepts(&third.access_token).await, "from after the change");

    // Signing out; and the old password is no good.
    scene.go("/account").await;
    scene.press("sign-out").await;
    scene.see("h1").await;
    scene.browser.picture("signed-out").await;
    assert!(scene.provider.accepts(&third.access_token).await, "offline_access outlives the session");
    scene.ask_for_tokens(&[]).await;
    scene.sign_in(PASSWORD).await;
    scene.see("[role=alert]").await;
    scene.sign_in(NEW_PASSWORD).await;
    scene.answer("code").await;
}

/// The pages on a phone, and what a person sees when an app sends them here wrongly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_on_a_narrow_screen_can_do_the_same() {
    let Some(scene) = Scene::open(500, 900).await else { return };
    scene.ask_for_tokens(&[]).await;
    scene.see("#password").await;
    scene.browser.picture("narrow-sign-in").await;
    scene.sign_in(PASSWORD).await;
    scene.see("#allow").await;
    scene.browser.picture("narrow-consent").await;
    // By keyboard alone: the button is reached and pressed without a pointer.
    let allow = scene.page().find(Locator::Id("allow")).await.unwrap();
    allow.send_keys("\u{E007}").await.unwrap();
    scene.answer("code").await;
    scene.go("/account/sessions").await;
    scene.see("h1").await;
    scene.browser.picture("narrow-sessions").await;
    scene.go("/authorize?client_id=ledger&redirect_uri=https://evil.example/").await;
    assert!(scene.see("h1").await.contains("does not work"));
    assert!(scene.see("#reference").await.len() >= 16, "a reference that the log has too");
    scene.browser.picture("narrow-error").await;
    let wider: i64 = scene
        .page()
        .execute("return document.documentElement.scrollWidth - document.documentElement.clientWidth", vec![])
        .await
        .unwrap()
        .as_i64()
        .unwrap();
    assert_eq!(wider, 0, "nothing sticks out at the side");
}
