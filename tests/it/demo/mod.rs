//! `tessera demo` as a process, used by a person: by forms alone, and in a real browser.

mod milliseconds;

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use fantoccini::Locator;
use reqwest::StatusCode;
use tessera::model::secret::random_bytes;
use tokio::time::Instant;

use crate::harness::browser::Browser;
use crate::harness::process::Process;

const EMAIL: &str = "demo@example.com";
const PASSWORD: &str = "correct horse battery staple";
/// Within this time a token that was taken back is refused everywhere.
const PROMISE: Duration = Duration::from_secs(1);
const NEW_PASSWORD: &str = "another mosaic of tiles";

/// A running demo.
struct Demo {
    process: Process,
    port: u16,
}

impl Demo {
    /// Starts it with its data in `folder` and waits until it has told where to go.
    async fn start(folder: &Path, port: u16) -> Self {
        let process = Process::start(&["demo", "--port", &port.to_string()], folder, &[]);
        process.line_with("Stop it with").await;
        Self { process, port }
    }

    /// SIGTERM ends it, and well.
    async fn stop(mut self) {
        self.process.terminate();
        assert!(self.process.ended().await.success());
    }

    fn provider(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    fn app(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port + 1)
    }

    fn api(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port + 2)
    }

    fn says(&self, text: &str) -> bool {
        self.process.log().iter().any(|line| line.contains(text))
    }
}

/// Three ports in a row that nobody uses, below those that the system hands out by itself.
fn free_ports() -> u16 {
    loop {
        let port = 20_000 + u16::from_le_bytes(random_bytes()) % 12_000;
        if (port..port + 3).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            return port;
        }
    }
}

/// A person without scripts: a cookie jar and the page in front of them.
struct Person {
    client: reqwest::Client,
    page: String,
    url: String,
}

impl Person {
    fn new() -> Self {
        let client = reqwest::Client::builder().cookie_store(true).build().unwrap();
        Self { client, page: String::new(), url: String::new() }
    }

    async fn open(&mut self, url: &str) {
        self.show(self.client.get(url)).await;
    }

    /// Sends a form with the page's token and `fields`, and follows where it leads.
    async fn send(&mut self, url: &str, fields: &[(&str, &str)]) {
        let hidden: Vec<(String, String)> = ["csrf", "request"]
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), between(&self.page, &format!("name=\"{name}\" value=\""), "\"")?)))
            .collect();
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let form: Vec<(String, String)> = hidden.into_iter().chain(fields).collect();
        self.show(self.client.post(url).form(&form)).await;
    }

    async fn show(&mut self, request: reqwest::RequestBuilder) {
        let response = request.send().await.unwrap();
        self.url = response.url().to_string();
        self.page = response.text().await.unwrap();
    }

    /// From the demo app's page to the demo app's page, by way of the provider.
    async fn sign_in(&mut self, demo: &Demo, password: &str, scope: &[(&str, &str)]) {
        self.open(&demo.app("/")).await;
        self.send(&demo.app("/sign-in"), scope).await;
        assert!(self.page.contains("id=\"sign-in\""), "{}\n{}", self.url, self.page);
        self.send(&demo.provider("/login"), &[("email", EMAIL), ("password", password), ("sign_in", "yes")]).await;
        if self.page.contains("id=\"allow\"") {
            self.send(&demo.provider("/consent"), &[("decision", "allow")]).await;
        }
        assert_eq!(self.newest(), "Signed in as Ada Example", "{}\n{}", self.url, self.page);
    }

    async fn press(&mut self, demo: &Demo, button: &str) -> String {
        assert!(self.page.contains(&format!("id=\"{button}\"")), "no button {button}");
        self.send(&demo.app(&format!("/{button}")), &[]).await;
        self.newest()
    }

    /// The title of the newest line of the history.
    fn newest(&self) -> String {
        let history = self.page.split("class=\"history\"").nth(1).unwrap_or_default();
        between(history, "<strong>", "</strong>").unwrap_or_default()
    }

    /// The tokens as the page shows them: access token, ID token.
    fn tokens(&self) -> Vec<String> {
        self.page.split("class=\"raw\">").skip(1).filter_map(|rest| Some(rest.split_once('<')?.0.to_owned())).collect()
    }
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    Some(text.split_once(before)?.1.split_once(after)?.0.to_owned())
}

#[tokio::test]
async fn every_button_of_the_demo_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path(), free_ports()).await;
    assert!(demo.says(EMAIL) && demo.says(PASSWORD) && demo.says(&demo.app("")));
    let mut person = Person::new();
    person.sign_in(&demo, PASSWORD, &[("notes", "yes")]).await;

    assert_eq!(person.press(&demo, "call-api").await, "Called the API: 200 OK");
    assert!(person.page.contains("Water the basil"));
    let feed = between(&person.page, "id=\"feed\">", "</p>").unwrap();
    let age =
        between(&feed, "its copy of Tessera’s feed was ", " ms old and had 0 entries.").and_then(|ms| ms.parse::<u64>().ok());
    assert!(age.is_some_and(|ms| ms <= 1000), "{feed}");
    let first = person.tokens();

    assert_eq!(person.press(&demo, "revoke-access-token").await, "Took the access token back");
    refused(&demo, &first[0]).await;
    assert_eq!(person.press(&demo, "call-api").await, "Called the API: 401 Unauthorized");
    assert!(person.page.contains("its number (jti) was taken back. That was at") && person.page.contains("invalid_token"));
    assert!(person.page.contains("The API asked nobody"), "{}", person.page);

    assert_eq!(person.press(&demo, "refresh").await, "Refreshed the tokens");
    assert!(person.page.contains("id=\"refresh-count\">2<"));
    assert_ne!(person.tokens()[0], first[0]);
    assert_eq!(person.press(&demo, "call-api").await, "Called the API: 200 OK");

    assert_eq!(person.press(&demo, "revoke-refresh-token").await, "Took everything back");
    refused(&demo, &person.tokens()[0]).await;
    assert_eq!(person.press(&demo, "call-api").await, "Called the API: 401 Unauthorized");
    assert_eq!(person.press(&demo, "refresh").await, "Refresh refused: invalid_grant");
    assert!(person.page.contains("id=\"over\""));

    // The session at the provider lives on: this asks nothing.
    person.send(&demo.app("/sign-in"), &[("notes", "yes")]).await;
    assert_eq!(person.newest(), "Signed in as Ada Example");
    let [access_token, id_token] = person.tokens().try_into().unwrap();
    person.send(&demo.app("/sign-out"), &[]).await;
    assert_eq!(person.newest(), "Signed out at the provider");
    assert!(person.page.contains("id=\"demo-sign-in\""));
    assert_eq!(refused(&demo, &access_token).await, "not_revoked", "signing out took it back");
    assert_eq!(call(&demo, Some(&id_token)).await.1, "signature", "an ID token is no access token");
    assert_eq!(call(&demo, None).await, (StatusCode::UNAUTHORIZED, String::new()));
    demo.stop().await;
}

/// Calls the API as anybody could: the status, and the check that failed. One that has just started may not know the provider yet.
async fn call(demo: &Demo, token: Option<&str>) -> (StatusCode, String) {
    let (client, began) = (reqwest::Client::new(), Instant::now());
    let response = loop {
        let mut request = client.get(demo.api("/notes"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        if response.status() != StatusCode::SERVICE_UNAVAILABLE {
            break response;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "the API does not find the provider");
    };
    assert!(response.status().is_success() || response.headers().contains_key("www-authenticate"));
    let status = response.status();
    let body: serde_json::Value = response.json().await.unwrap();
    let failed = body["checks"].as_array().unwrap().iter().find(|check| check["passed"] == false);
    (status, failed.map(|check| check["check"].as_str().unwrap().to_owned()).unwrap_or_default())
}

/// Calls the API until it refuses the token: the check that failed. A call that begins a second after this one was made, and so after
/// the token was taken back, must not be accepted.
async fn refused(demo: &Demo, token: &str) -> String {
    let taken_back = Instant::now();
    loop {
        let late = taken_back.elapsed() > PROMISE;
        let (status, check) = call(demo, Some(token)).await;
        match status {
            StatusCode::UNAUTHORIZED => return check,
            status => assert!(!late, "{status} more than a second after the token was taken back"),
        }
    }
}

#[tokio::test]
async fn a_changed_password_takes_everything_back_and_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_ports();
    let demo = Demo::start(folder.path(), port).await;
    let mut person = Person::new();
    person.sign_in(&demo, PASSWORD, &[("notes", "yes")]).await;
    assert_eq!(person.press(&demo, "call-api").await, "Called the API: 200 OK");

    person.open(&demo.provider("/account/password")).await;
    let fields = [("current_password", PASSWORD), ("new_password", NEW_PASSWORD), ("new_password_again", NEW_PASSWORD)];
    person.send(&demo.provider("/account/password"), &fields).await;
    assert!(person.page.contains("Your password is changed"), "{}", person.page);

    person.open(&demo.app("/")).await;
    refused(&demo, &person.tokens()[0]).await;
    assert_eq!(person.press(&demo, "call-api").await, "Called the API: 401 Unauthorized");
    assert!(person.page.contains("the password was changed"));
    assert_eq!(person.press(&demo, "refresh").await, "Refresh refused: invalid_grant");
    demo.stop().await;

    let demo = Demo::start(folder.path(), port).await;
    assert!(demo.says("the one you changed it to"), "{:?}", demo.process.log());
    let mut person = Person::new();
    person.sign_in(&demo, NEW_PASSWORD, &[("notes", "yes")]).await;
    assert_eq!(person.press(&demo, "call-api").await, "Called the API: 200 OK");
    let access_token = &person.tokens()[0];
    demo.stop().await;

    let process = Process::start(&["demo", "--port", &port.to_string(), "--reset-passwords"], folder.path(), &[]);
    process.line_with("Stop it with").await;
    let demo = Demo { process, port };
    assert!(!demo.says("the one you changed it to"));
    assert_eq!(refused(&demo, access_token).await, "not_revoked", "the reset takes tokens back too");
    Person::new().sign_in(&demo, PASSWORD, &[]).await;
    demo.stop().await;
}

#[tokio::test]
async fn without_the_scope_the_api_refuses_a_good_token() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path(), free_ports()).await;
    let mut person = Person::new();
    person.sign_in(&demo, PASSWORD, &[]).await;
    assert_eq!(person.press(&demo, "call-api").await, "Called the API: 403 Forbidden");
    assert!(person.page.contains("insufficient_scope"));

    let forged = person.client.post(demo.app("/refresh")).form(&[("csrf", "guessed")]).send().await.unwrap();
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    person.open(&demo.app("/callback?state=guessed&code=guessed")).await;
    assert_eq!(person.newest(), "Sign-in did not succeed");
    demo.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_told_with_the_option_that_helps() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_ports();
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port + 2)).unwrap();
    let mut process = Process::start(&["demo", "--port", &port.to_string()], folder.path(), &[]);
    let line = process.line_with("--port").await;
    assert!(line.contains(&(port + 2).to_string()), "{line}");
    assert!(!process.ended().await.success());
    assert!(!folder.path().join("data").exists(), "nothing was written");
}

#[tokio::test]
async fn browser_clicks_every_button_of_the_demo() {
    let Some(browser) = Browser::open(1360, 900).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path(), free_ports()).await;
    let page = &browser.client;
    let click = async |id: &str| page.find(Locator::Id(id)).await.unwrap().click().await.unwrap();
    let newest = async |title: &str| {
        let newest = format!("//*[@id='history']//li[1]//strong[.='{title}']");
        page.wait().for_element(Locator::XPath(&newest)).await.unwrap_or_else(|error| panic!("{title}: {error}"));
    };
    let access_token = async || {
        let raw = page.find(Locator::Css("#access-token .raw")).await.unwrap();
        raw.prop("textContent").await.unwrap().unwrap()
    };
    page.goto(&demo.app("/")).await.unwrap();
    browser.picture("demo-signed-out").await;
    click("demo-sign-in").await;
    page.wait().for_element(Locator::Id("email")).await.unwrap().send_keys(EMAIL).await.unwrap();
    page.find(Locator::Id("password")).await.unwrap().send_keys(PASSWORD).await.unwrap();
    click("sign-in").await;
    page.wait().for_element(Locator::Id("allow")).await.unwrap();
    browser.picture("demo-consent").await;
    click("allow").await;
    newest("Signed in as Ada Example").await;
    click("call-api").await;
    newest("Called the API: 200 OK").await;
    browser.picture("demo-api-called").await;
    click("refresh").await;
    newest("Refreshed the tokens").await;
    click("revoke-access-token").await;
    newest("Took the access token back").await;
    refused(&demo, &access_token().await).await;
    click("call-api").await;
    newest("Called the API: 401 Unauthorized").await;
    browser.picture("demo-api-refused").await;
    click("revoke-refresh-token").await;
    newest("Took everything back").await;
    click("refresh").await;
    newest("Refresh refused: invalid_grant").await;
    browser.picture("demo-over").await;
    click("demo-sign-in").await;
    newest("Signed in as Ada Example").await;

    let link = page.find(Locator::Id("change-password-link")).await.unwrap().attr("href").await.unwrap().unwrap();
    page.goto(&link).await.unwrap();
    for (id, text) in [("current_password", PASSWORD), ("new_password", NEW_PASSWORD), ("new_password_again", NEW_PASSWORD)] {
        page.find(Locator::Id(id)).await.unwrap().send_keys(text).await.unwrap();
    }
    click("change-password").await;
    page.wait().for_element(Locator::Id("done")).await.unwrap();
    page.goto(&demo.app("/")).await.unwrap();
    refused(&demo, &access_token().await).await;
    click("call-api").await;
    newest("Called the API: 401 Unauthorized").await;
    browser.picture("demo-password-changed").await;
    click("demo-sign-out").await;
    page.wait().for_element(Locator::Css("#demo-sign-in, #confirm-sign-out")).await.unwrap();
    browser.picture("demo-after-sign-out").await;
    demo.stop().await;
}
