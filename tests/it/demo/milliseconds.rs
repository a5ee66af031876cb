//! "Take it back, and count the milliseconds": each of the five ways, by forms and in a browser, and the promise of a second.

use std::sync::Arc;
use std::time::Duration;

use fantoccini::Locator;
use tokio::task::JoinSet;

use super::{Demo, EMAIL, PASSWORD, PROMISE, Person, between, call, free_ports};
use crate::harness::browser::Browser;

const PROMISE_MS: u64 = PROMISE.as_millis() as u64;

/// What the button is called in the form, what on the page, and whether the person has to sign in again afterwards.
const DEEDS: [(&str, &str, bool); 5] = [
    ("revoke", "Revoke the token", false),
    ("revoke-key", "Revoke the key", false),
    ("disable-client", "Disable the client", false),
    ("sign-out-everywhere", "Sign out everywhere", true),
    ("change-password", "Change the password", true),
];

impl Person {
    async fn measure(&mut self, demo: &Demo, deed: &str) {
        assert!(self.page.contains(&format!("id=\"measure-{deed}\"")), "no button for {deed}: {}", self.page);
        self.send(&demo.app("/take-back"), &[("deed", deed)]).await;
        self.wait_for_finding(demo).await;
    }

    /// Looks again and again, as the page does by itself.
    async fn wait_for_finding(&mut self, demo: &Demo) {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        while self.page.contains("id=\"measuring\"") {
            looks.tick().await;
            self.open(&demo.app("/")).await;
        }
    }

    /// The milliseconds that the page shows beside `deed`, and how many calls were accepted until then.
    fn shown(&self, deed: &str) -> (u64, u64) {
        let row = self.page.split(&format!("measure-{deed}-what")).last().unwrap();
        let number = |before, after| between(row, before, after)?.trim().parse().ok();
        let ms = number("class=\"ms\">", " ms</td>").unwrap_or_else(|| panic!("no time for {deed}: {}", self.page));
        (ms, number("<td role=\"cell\">", "<span").unwrap())
    }
}

#[tokio::test]
async fn each_way_to_take_a_token_back_shows_its_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path(), free_ports()).await;
    let mut person = Person::new();
    person.sign_in(&demo, PASSWORD, &[("notes", "yes")]).await;
    for (deed, title, ends_sign_in) in DEEDS {
        person.measure(&demo, deed).await;
        // The page that comes back says whose tokens were used: a refreshed one, where the button before had taken one back.
        let access_token = person.tokens()[0].clone();
        let (ms, accepted) = person.shown(deed);
        assert!(ms <= PROMISE_MS, "{deed}: refused {ms} ms after the answer, {accepted} calls were accepted until then");
        assert_eq!(person.newest(), format!("{title}: refused {ms} ms after Tessera answered"));
        let finding = between(&person.page, "id=\"measured\">", "</p>").unwrap();
        let later: u64 = between(&finding, "After that nothing was accepted, in ", " more").unwrap().parse().unwrap();
        assert!(later > 0, "{deed}: {finding}");
        assert_eq!(call(&demo, Some(&access_token)).await.0, 401, "{deed}");
        assert_eq!(person.page.contains("id=\"sign-in-again\""), ends_sign_in, "{deed}");
        if ends_sign_in {
            person.sign_in(&demo, PASSWORD, &[("notes", "yes")]).await;
        }
    }
    for (deed, ..) in DEEDS {
        assert!(person.shown(deed).0 <= PROMISE_MS, "all five are side by side");
    }
    assert_eq!(person.press(&demo, "call-api").await, "Called the API: 200 OK");
    demo.stop().await;
}

#[tokio::test]
async fn nothing_is_taken_back_where_nothing_can_be_measured() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path(), free_ports()).await;
    let mut person = Person::new();
    person.open(&demo.app("/")).await;
    person.send(&demo.app("/take-back"), &[("deed", "disable-client")]).await;
    assert_eq!(person.newest(), "Disable the client: not measured");
    person.sign_in(&demo, PASSWORD, &[]).await;
    person.measure(&demo, "revoke").await;
    assert_eq!(person.newest(), "Revoke the token: not measured");
    assert!(person.page.contains("does not let this token read notes"), "{}", person.page);
    assert!(!person.page.contains("class=\"ms\""));

    let forged = person.client.post(demo.app("/take-back")).form(&[("csrf", "guessed"), ("deed", "revoke-key")]).send();
    assert_eq!(forged.await.unwrap().status(), 403);
    person.send(&demo.app("/take-back"), &[("deed", "no-such-deed")]).await;
    assert_eq!(person.press(&demo, "refresh").await, "Refreshed the tokens", "the key still signs and the client still lives");
    demo.stop().await;
}

#[tokio::test]
async fn browsers_measure_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Arc::new(Demo::start(folder.path(), free_ports()).await);
    let mut measuring = JoinSet::new();
    let mut people = Vec::new();
    for _ in 0..3 {
        let mut person = Person::new();
        person.sign_in(&demo, PASSWORD, &[("notes", "yes")]).await;
        people.push(person);
    }
    for (mut person, deed) in people.into_iter().zip(["disable-client", "revoke-key", "revoke"]) {
        let demo = Arc::clone(&demo);
        measuring.spawn(async move {
            person.measure(&demo, deed).await;
            person.shown(deed)
        });
    }
    while let Some(shown) = measuring.join_next().await {
        assert!(shown.unwrap().0 <= PROMISE_MS);
    }
    Arc::into_inner(demo).unwrap().stop().await;
}

#[tokio::test]
async fn what_was_begun_is_finished_once_even_if_the_browser_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path(), free_ports()).await;
    let mut person = Person::new();
    person.sign_in(&demo, PASSWORD, &[("notes", "yes")]).await;
    let csrf = between(&person.page, "name=\"csrf\" value=\"", "\"").unwrap();
    // Pressed twice, and given up as soon as it has begun: whichever came first is done, the other is not.
    let mut pressed = JoinSet::new();
    for _ in 0..2 {
        let form = [("csrf", csrf.clone()), ("deed", "disable-client".to_owned())];
        pressed.spawn(person.client.post(demo.app("/take-back")).form(&form).send());
    }
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    while !person.page.contains("id=\"measuring\"") && !person.page.contains("id=\"measured\"") {
        looks.tick().await;
        person.open(&demo.app("/")).await;
    }
    pressed.shutdown().await;
    person.wait_for_finding(&demo).await;
    assert!(person.shown("disable-client").0 <= PROMISE_MS);
    assert_eq!(person.page.matches("Disable the client: refused").count(), 2, "one line of history, and the newest finding");
    assert_eq!(person.press(&demo, "refresh").await, "Refreshed the tokens", "the client is enabled again");
    demo.stop().await;
}

#[tokio::test]
async fn browser_counts_the_milliseconds() {
    let Some(browser) = Browser::open(1360, 900).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path(), free_ports()).await;
    let page = &browser.client;
    page.goto(&demo.app("/")).await.unwrap();
    page.find(Locator::Id("demo-sign-in")).await.unwrap().click().await.unwrap();
    page.wait().for_element(Locator::Id("email")).await.unwrap().send_keys(EMAIL).await.unwrap();
    page.find(Locator::Id("password")).await.unwrap().send_keys(PASSWORD).await.unwrap();
    page.find(Locator::Id("sign-in")).await.unwrap().click().await.unwrap();
    page.wait().for_element(Locator::Id("allow")).await.unwrap().click().await.unwrap();
    for (deed, title, ends_sign_in) in DEEDS.into_iter().take(4) {
        page.wait().for_element(Locator::Id(&format!("measure-{deed}"))).await.unwrap().click().await.unwrap();
        let measured = format!("//*[@id='measured']/strong[starts-with(., '{title}: refused ')]");
        page.wait().for_element(Locator::XPath(&measured)).await.unwrap_or_else(|error| panic!("{title}: {error}"));
        let time = format!("//tr[.//*[@id='measure-{deed}-what']]/td[1]");
        let time = page.find(Locator::XPath(&time)).await.unwrap().text().await.unwrap();
        let ms: u64 = time.trim_end_matches(" ms").parse().unwrap_or_else(|_| panic!("{deed}: {time}"));
        assert!(ms <= PROMISE_MS, "{deed}: {ms}");
        assert_eq!(page.find(Locator::Id("sign-in-again")).await.is_ok(), ends_sign_in);
    }
    browser.picture("demo-milliseconds").await;
    demo.stop().await;
}
