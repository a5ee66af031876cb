//! What the app's one page is told.

use askama::Template;
use serde_json::Value;

use super::experiments::{MEASURING, TAKE_BACK};
use super::findings::{Deed, Experiments, Finding};
use super::history::Event;
use super::report::ApiReport;
use super::sessions::{Session, Tokens};
use super::sign_in::read_header;
use super::words::{self, Row};
use super::{RelyingParty, history::Went};
use crate::clock::Timestamp;

/// `/`
#[derive(Template)]
#[template(path = "demo/home.html")]
pub struct Home {
    issuer: String,
    origin: String,
    api: String,
    csrf: String,
    /// Where the page goes by itself in a second, since something is being measured. Another query each time: to the same one a browser
    /// only scrolls.
    next: Option<&'static str>,
    signed_in: Option<SignedIn>,
    history: Vec<Event>,
    /// What the person should know first: the newest event, if it is bad news for somebody who is not signed in.
    notice: Option<Event>,
}

/// A page with a message and the way back.
#[derive(Template)]
#[template(path = "demo/problem.html")]
pub struct Problem {
    pub title: &'static str,
    pub words: &'static str,
}

struct SignedIn {
    name: String,
    email: String,
    access: Token,
    id: Token,
    refresh: Refresh,
    userinfo: Vec<Row>,
    report: Option<ApiReport>,
    take_back: TakeBack,
}

/// The card with the milliseconds.
struct TakeBack {
    /// Each way to take the token back, and its newest measurement.
    rows: Vec<(Deed, Option<Finding>)>,
    newest: Option<Finding>,
    failure: Option<String>,
    /// Something is being measured: the page comes again by itself.
    busy: bool,
}

struct Token {
    id: &'static str,
    title: &'static str,
    purpose: &'static str,
    /// "alg", "kid", "typ".
    header: Vec<Row>,
    claims: Vec<Row>,
    raw: String,
    state: State,
}

struct Refresh {
    count: u32,
    state: State,
}

/// What is to be expected of a token, and since when.
struct State {
    class: &'static str,
    words: String,
}

impl Home {
    pub fn of(app: &RelyingParty, session: &Session, csrf: String, query: Option<&str>, now: Timestamp) -> Self {
        let again = if query.is_none() { MEASURING } else { TAKE_BACK };
        let newest = session.history.front();
        Self {
            issuer: app.provider.issuer.clone(),
            origin: app.origin.clone(),
            api: app.api.clone(),
            csrf,
            next: session.experiments.is_busy(now).then_some(again),
            signed_in: session.tokens.as_ref().map(|tokens| SignedIn::of(tokens, session, now)),
            history: session.history.iter().cloned().collect(),
            notice: newest.filter(|event| session.tokens.is_none() && event.went == Went::Refused).cloned(),
        }
    }

    /// "14:05:09 UTC".
    fn clock(&self, moment: &Timestamp) -> String {
        words::clock(*moment)
    }

    /// An address without its scheme.
    fn place<'a>(&self, address: &'a str) -> &'a str {
        address.trim_start_matches("http://")
    }
}

impl SignedIn {
    fn of(tokens: &Tokens, session: &Session, now: Timestamp) -> Self {
        let report = session.report.clone();
        let text = |name: &str| tokens.userinfo.get(name).and_then(Value::as_str).map(str::to_owned);
        let email = text("email").unwrap_or_default();
        Self {
            name: text("name").unwrap_or_else(|| email.clone()),
            email,
            access: Token {
                id: "access-token",
                title: "Access token",
                purpose: "The app shows it to the API. The API checks it without asking who you are.",
                header: words::rows(&read_header(&tokens.access_token), now),
                claims: words::rows(&tokens.access_claims, now),
                raw: tokens.access_token.clone(),
                state: State::of_access_token(tokens, report.as_ref(), now),
            },
            id: Token {
                id: "id-token",
                title: "ID token",
                purpose: "It tells the app who signed in, and when. It is for the app alone.",
                header: words::rows(&read_header(&tokens.id_token), now),
                claims: words::rows(&tokens.id_claims, now),
                raw: tokens.id_token.clone(),
                state: State::until(&tokens.id_claims, now),
            },
            refresh: Refresh { count: tokens.refresh_count, state: State::of_refresh_token(tokens, now) },
            userinfo: words::rows(&tokens.userinfo, now),
            report,
            take_back: TakeBack::of(&session.experiments, now),
        }
    }

    /// Whether only a new sign-in helps.
    fn is_over(&self) -> bool {
        self.refresh.state.class == "ended"
    }
}

impl TakeBack {
    fn of(experiments: &Experiments, now: Timestamp) -> Self {
        Self {
            rows: Deed::ALL.into_iter().map(|deed| (deed, experiments.of(deed).cloned())).collect(),
            newest: experiments.newest().cloned(),
            failure: experiments.failure.clone(),
            busy: experiments.is_busy(now),
        }
    }
}

impl State {
    fn ended(what: &str, at: Timestamp, now: Timestamp) -> Self {
        Self { class: "ended", words: format!("{what} {}", words::ago(at, now)) }
    }

    fn until(claims: &serde_json::Map<String, Value>, now: Timestamp) -> Self {
        match claims.get("exp").and_then(Value::as_i64).map(Timestamp::from_seconds) {
            Some(at) if at > now => Self { class: "well", words: format!("expires {}", words::from_now(at, now)) },
            Some(at) => Self::ended("expired", at, now),
            None => Self { class: "well", words: String::new() },
        }
    }

    fn of_access_token(tokens: &Tokens, report: Option<&ApiReport>, now: Timestamp) -> Self {
        let refused = report.filter(|report| report.taken_back && report.at >= tokens.obtained_at);
        match (tokens.access_revoked_at, refused) {
            (Some(at), _) => Self::ended("taken back", at, now),
            (None, Some(report)) => Self::ended("refused", report.at, now),
            (None, None) => Self::until(&tokens.access_claims, now),
        }
    }

    fn of_refresh_token(tokens: &Tokens, now: Timestamp) -> Self {
        match (tokens.refresh_ended_at, &tokens.refresh_token) {
            (Some(at), _) => Self::ended("ended", at, now),
            (None, Some(_)) => Self { class: "well", words: format!("obtained {}", words::ago(tokens.obtained_at, now)) },
            (None, None) => Self { class: "ended", words: "none was given".to_owned() },
        }
    }
}
