//! One of each page, for the tests and for looking at them: `TESSERA_SAMPLES=<folder> cargo test --lib samples -- --ignored`.

use std::time::Duration;

use askama::Template;

use super::*;
use crate::clock::Timestamp;
use crate::error::PageError;
use crate::model::{Json, user::Profile};
use crate::pages::words::{ScopeLine, browser_words, day_words, network_words, scope_lines, when_words};
use crate::password::PolicyError;

/// What is put into every field that others can fill. Ordinary in one set of samples, hostile in the other.
#[derive(Clone, Copy)]
pub struct Words {
    pub installation: &'static str,
    pub base: &'static str,
    pub name: &'static str,
    pub email: &'static str,
    pub app: &'static str,
    pub anything: &'static str,
    pub user_agent: &'static str,
}

pub const ORDINARY: Words = Words {
    installation: "Tessera",
    base: "",
    name: "Ada Lovelace",
    email: "ada@example.org",
    app: "Ledger",
    anything: "k7Qp2",
    user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
};

fn person(words: Words) -> User {
    User {
        email: words.email.to_owned(),
        email_verified: true,
        roles: Json(vec!["editor".to_owned(), words.anything.to_owned()]),
        groups: Json(vec!["Analytical Engine".to_owned()]),
        profile: Json(Profile {
            name: Some(words.name.to_owned()),
            phone_number: Some("+44 20 7946 0018".to_owned()),
            zoneinfo: Some("Europe/London".to_owned()),
            ..Profile::default()
        }),
        ..User::default()
    }
}

fn app(words: Words) -> App {
    let link = |path: &str| Some(format!("https://ledger.example/{path}?q={}", words.anything));
    App { name: words.app.to_owned(), home: link(""), privacy_policy: link("privacy"), terms: link("terms"), ..App::default() }
}

/// Every page in every state, by file name.
pub fn pages(words: Words) -> Vec<(&'static str, String)> {
    let text = str::to_owned;
    let site = Site { name: text(words.installation), base: words.base.to_owned() };
    let (csrf, request) = (text(words.anything), text(words.anything));
    let user = person(words);
    let who = Person::of(&user);
    let now = Timestamp::from_seconds(1_772_546_700);
    let ago = |seconds| now.minus(Duration::from_secs(seconds));
    let scope = "openid profile email phone address offline_access roles groups".to_owned();
    let mut scopes = scope_lines(&scope.into(), &user, &[]);
    scopes.push(ScopeLine { title: words.anything.to_owned(), detail: words.anything.to_owned() });

    let sign_in = SignIn {
        site: site.clone(),
        csrf: csrf.clone(),
        request: request.clone(),
        app: Some(app(words)),
        device: String::new(),
        email: String::new(),
        problem: None,
    };
    let again = SignInAgain {
        site: site.clone(),
        csrf: csrf.clone(),
        request: request.clone(),
        app: Some(app(words)),
        person: who.clone(),
        problem: None,
    };
    let choose = ChooseAccount {
        site: site.clone(),
        csrf: csrf.clone(),
        request: request.clone(),
        app: Some(app(words)),
        person: who.clone(),
    };
    let consent = Consent {
        site: site.clone(),
        csrf: csrf.clone(),
        request: request.clone(),
        app: app(words),
        answer_goes: AnswerGoes::Home,
        person: who.clone(),
        returns_to: format!("ledger.example{}", words.anything),
        scopes: scopes.clone(),
        asks_again: false,
        is_remembered: true,
    };
    let plain_app = App { name: "A rather long-winded name of an app that nobody shortened".to_owned(), ..App::default() };
    let short_consent = Consent {
        app: plain_app,
        scopes: scopes.iter().take(3).cloned().collect(),
        asks_again: true,
        is_remembered: false,
        ..consent.clone()
    };
    let itself = App {
        name: "دفتر الحسابات الكبير لمؤسسة ذات اسم طويل جدا — Ledger of an organisation with a very long name".to_owned(),
        unchecked: true,
        host: Some(format!("ledger.example{}", words.anything)),
        ..app(words)
    };
    let unchecked_consent = Consent { app: itself.clone(), ..consent.clone() };
    let unchecked_sign_in = SignIn { app: Some(itself.clone()), ..sign_in.clone() };
    let device_consent = Consent {
        answer_goes: AnswerGoes::ToThisDevice,
        returns_to: "127.0.0.1:33418".to_owned(),
        scopes: scopes.iter().take(2).cloned().collect(),
        ..unchecked_consent.clone()
    };
    let elsewhere_consent = Consent { answer_goes: AnswerGoes::Elsewhere, ..device_consent.clone() };
    let enter_device = EnterDeviceCode { site: site.clone(), csrf: csrf.clone(), user_code: String::new(), problem: None };
    let confirm_device = ConfirmDevice {
        site: site.clone(),
        csrf: csrf.clone(),
        user_code: "WDJB-MJHT".to_owned(),
        app: app(words),
        person: who.clone(),
        scopes: scopes.iter().take(3).cloned().collect(),
        asked: when_words(ago(70), now),
        from: network_words(words.anything, std::net::Ipv4Addr::LOCALHOST.into()),
    };
    let unchecked_device = ConfirmDevice { app: App { host: None, ..itself.clone() }, ..confirm_device.clone() };
    let form_post = FormPost {
        site: site.clone(),
        returns_to: text(words.app),
        action: format!("https://ledger.example/cb{}", words.anything),
        fields: vec![("code", text(words.anything)), ("state", text(words.anything))],
    };
    let confirm = ConfirmSignOut {
        site: site.clone(),
        csrf: csrf.clone(),
        fields: vec![("client_id", text(words.anything)), ("state", text(words.anything))],
        app: Some(app(words)),
        returns_to: String::new(),
        person: who.clone(),
    };
    let signed_out = SignedOut { site: site.clone(), app: Some(app(words)), frames: Vec::new(), onward: None };
    let onward = |at_once| {
        let address = format!("https://ledger.example/out?state={}", words.anything);
        Some(Onward { address, place: format!("ledger.example{}", words.anything), at_once })
    };
    let frames = vec![format!("https://ledger.example/frame?sid={}", words.anything), "https://ledger.example/2".to_owned()];
    let set_up = SetUp {
        site: site.clone(),
        csrf: csrf.clone(),
        token: text(words.anything),
        email: String::new(),
        name: String::new(),
        min_length: 8,
        problem: None,
    };
    let set_up_again = SetUp {
        email: who.email.clone(),
        name: who.name.clone(),
        problem: Some(Problem::password_refused(PolicyError::TooShort(8))),
        ..set_up.clone()
    };
    let profile = ProfilePage {
        site: site.clone(),
        csrf: csrf.clone(),
        person: who.clone(),
        lines: ProfileLine::all_of(&user),
        sessions: 3,
        apps: 1,
    };
    let password =
        PasswordPage { site: site.clone(), csrf: csrf.clone(), person: who.clone(), min_length: 8, problem: None, done: false };
    let session = |id: &str, user_agent: &str, age: u64, is_this_one: bool| SessionLine {
        id: text(id),
        browser: browser_words(user_agent),
        ip: format!("198.51.100.{age}"),
        signed_in: when_words(ago(age * 7000), now),
        last_seen: when_words(ago(age * 100), now),
        is_this_one,
    };
    let sessions = SessionsPage {
        site: site.clone(),
        csrf: csrf.clone(),
        person: who.clone(),
        sessions: vec![
            session("here", words.user_agent, 0, true),
            session(words.anything, "Mozilla/5.0 (iPhone) Version/17.5 Mobile/1 Safari/604.1", 4, false),
            session("old", words.anything, 90, false),
        ],
        notice: format!("You signed out of {}.", words.anything),
    };
    let openable = App { open: Some(format!("https://ledger.example/open?iss={}", words.anything)), ..app(words) };
    let with_access = |id: &str, app: App, scopes: &[ScopeLine]| AppWithAccess {
        client_id: text(id),
        app,
        scopes: scopes.to_vec(),
        since: day_words(now),
    };
    let apps = AppsPage {
        site: site.clone(),
        csrf: csrf.clone(),
        person: who.clone(),
        apps: vec![
            with_access(words.anything, openable.clone(), &scopes),
            with_access("notes", App { name: "Notes".to_owned(), ..App::default() }, &scopes[..2]),
        ],
        notice: String::new(),
    };
    let wrong = SignIn { email: who.email.clone(), problem: Some(Problem::wrong_email_or_password()), ..sign_in.clone() };
    let error = |error: PageError| ErrorPage::of(&error, site.clone(), text(words.anything)).render().unwrap();

    let pages: Vec<(&'static str, &dyn askama::DynTemplate)> = vec![
        ("sign-in", &sign_in),
        ("sign-in-wrong", &wrong),
        ("sign-in-again", &again),
        ("choose-account", &choose),
        ("consent", &consent),
        ("consent-short", &short_consent),
        ("consent-on-device", &device_consent),
        ("consent-elsewhere", &elsewhere_consent),
        ("consent-unchecked", &unchecked_consent),
        ("sign-in-unchecked", &unchecked_sign_in),
        ("device-unchecked", &unchecked_device),
        ("device", &enter_device),
        ("device-confirm", &confirm_device),
        ("form-post", &form_post),
        ("sign-out-confirm", &confirm),
        ("signed-out", &signed_out),
        ("set-up", &set_up),
        ("set-up-problem", &set_up_again),
        ("account", &profile),
        ("password", &password),
        ("sessions", &sessions),
        ("apps", &apps),
    ];
    let mut pages: Vec<(&'static str, String)> =
        pages.into_iter().map(|(name, page)| (name, page.dyn_render().unwrap())).collect();
    pages.extend([
        ("sign-in-alone", SignIn { app: None, ..sign_in.clone() }.render().unwrap()),
        ("sign-in-device", SignIn { app: None, device: text(words.anything), ..sign_in.clone() }.render().unwrap()),
        (
            "device-wrong",
            EnterDeviceCode {
                user_code: text(words.anything),
                problem: Some(Problem::no_such_device_code()),
                ..enter_device.clone()
            }
            .render()
            .unwrap(),
        ),
        ("device-allowed", DeviceDone { site: site.clone(), allowed: true }.render().unwrap()),
        ("device-denied", DeviceDone { site: site.clone(), allowed: false }.render().unwrap()),
        ("sign-in-wait", SignIn { problem: Some(Problem::too_many_attempts(600)), ..wrong.clone() }.render().unwrap()),
        ("sign-in-busy", SignIn { problem: Some(Problem::busy()), ..wrong }.render().unwrap()),
        ("sign-in-again-wrong", SignInAgain { problem: Some(Problem::wrong_password()), ..again }.render().unwrap()),
        (
            "sign-out-returns",
            ConfirmSignOut { returns_to: format!("ledger.example{}", words.anything), ..confirm.clone() }.render().unwrap(),
        ),
        ("sign-out-unasked", ConfirmSignOut { app: None, ..confirm }.render().unwrap()),
        ("signed-out-alone", SignedOut { app: None, ..signed_out.clone() }.render().unwrap()),
        ("signed-out-offer", SignedOut { onward: onward(false), ..signed_out.clone() }.render().unwrap()),
        ("signed-out-frames", SignedOut { frames: frames.clone(), ..signed_out.clone() }.render().unwrap()),
        ("signed-out-onward", SignedOut { frames, onward: onward(true), ..signed_out }.render().unwrap()),
        ("landing", Landing { site: site.clone(), person: None, apps: vec![] }.render().unwrap()),
        ("landing-signed-in", Landing { site: site.clone(), person: Some(who.clone()), apps: vec![] }.render().unwrap()),
        ("landing-apps", Landing { site: site.clone(), person: Some(who), apps: vec![openable] }.render().unwrap()),
        ("set-up-done", SetUpDone { site: site.clone(), email: text(words.email) }.render().unwrap()),
        ("password-differ", PasswordPage { problem: Some(Problem::passwords_differ()), ..password.clone() }.render().unwrap()),
        ("password-done", PasswordPage { done: true, ..password }.render().unwrap()),
        (
            "apps-none",
            AppsPage { apps: vec![], notice: format!("{} no longer has access.", words.app), ..apps }.render().unwrap(),
        ),
        ("error-app", error(PageError::bad_link(words.anything))),
        ("error-expired", error(PageError::expired())),
        ("error-stale", error(PageError::forged_form())),
        ("error-500", error(PageError::internal(words.anything))),
    ]);
    pages
}
