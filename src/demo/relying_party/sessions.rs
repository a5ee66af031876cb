//! What the demo's app remembers of a browser: in memory, for a bounded number of browsers, gone when the demo stops.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use super::findings::Experiments;
use super::history::Event;
use super::report::ApiReport;
use crate::clock::Timestamp;
use crate::http::cookies;
use crate::model::Secret;

/// Cookies do not know ports: the provider's are sent to this app as well, and this one to the provider. So its name is its own.
const COOKIE: &str = "demo_app_session";

const MAX_SESSIONS: usize = 200;
const MAX_PENDING: usize = 5;
const MAX_EVENTS: usize = 30;
const LIFETIME: Duration = Duration::from_secs(86_400);
/// Signing in may take as long as this.
const PENDING_LIFETIME: Duration = Duration::from_secs(900);

/// One browser.
#[derive(Clone, Default)]
pub struct Session {
    last_seen: Timestamp,
    /// Sign-ins that have begun: one for each tab that may be waiting.
    pending: VecDeque<Pending>,
    /// `state` of a sign-out that has begun.
    pub signing_out: Option<String>,
    pub tokens: Option<Tokens>,
    pub report: Option<ApiReport>,
    pub experiments: Experiments,
    /// What happened, newest first.
    pub history: VecDeque<Event>,
}

/// What must come back as it went out, or stays here until the code comes (RFC 7636, OpenID Connect Core §3.1.2.1).
#[derive(Clone)]
pub struct Pending {
    pub state: String,
    pub nonce: String,
    pub code_verifier: Secret,
    pub begun_at: Timestamp,
}

/// What a sign-in gave, and what became of it.
#[derive(Clone)]
pub struct Tokens {
    pub access_token: String,
    pub access_claims: Map<String, Value>,
    pub id_token: String,
    pub id_claims: Map<String, Value>,
    /// The claims of the ID token's userinfo, as they were at sign-in.
    pub userinfo: Map<String, Value>,
    pub refresh_token: Option<Secret>,
    /// How many refresh tokens there were since the sign-in, with this one.
    pub refresh_count: u32,
    pub obtained_at: Timestamp,
    /// When this app took the access token back.
    pub access_revoked_at: Option<Timestamp>,
    /// When the refresh token was taken back here, or turned out to be refused.
    pub refresh_ended_at: Option<Timestamp>,
}

impl Session {
    /// Notes that something happened.
    pub fn note(&mut self, event: Event) {
        self.history.push_front(event);
        self.history.truncate(MAX_EVENTS);
    }

    /// Notes that a sign-in has begun.
    pub fn begin_sign_in(&mut self, pending: Pending) {
        self.pending.push_front(pending);
        self.pending.truncate(MAX_PENDING);
    }

    /// The sign-in with this `state`, once.
    pub fn finish_sign_in(&mut self, state: &str, now: Timestamp) -> Option<Pending> {
        let at = self.pending.iter().position(|pending| pending.state == state)?;
        self.pending.remove(at).filter(|pending| now.since(pending.begun_at) < PENDING_LIFETIME)
    }
}

/// Every browser, by the hash of its cookie.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<Vec<u8>, Session>>);

/// The browser of a request: its cookie's value, and whether it has that cookie already.
pub struct Browser {
    pub cookie: Secret,
    pub is_new: bool,
}

impl Sessions {
    /// Finds the session of a request, or begins one.
    pub fn open(&self, headers: &HeaderMap, now: Timestamp) -> Browser {
        let mut all = self.lock();
        if let Some(cookie) = cookies::read(headers, COOKIE).map(Secret::new)
            && let Some(session) = all.get_mut(&cookie.hash())
            && now.since(session.last_seen) < LIFETIME
        {
            session.last_seen = now;
            return Browser { cookie, is_new: false };
        }
        let cookie = Secret::random();
        insert(&mut all, &cookie, Session { last_seen: now, ..Session::default() });
        Browser { cookie, is_new: true }
    }

    /// Reads or changes a session; a lost one is an empty one.
    pub fn with<T>(&self, browser: &Browser, work: impl FnOnce(&mut Session) -> T) -> T {
        match self.lock().get_mut(&browser.cookie.hash()) {
            Some(session) => work(session),
            None => work(&mut Session::default()),
        }
    }

    /// Gives the session a new cookie: whoever knew the old one has no part in what follows (session fixation).
    pub fn renew(&self, browser: &Browser) -> Browser {
        let mut all = self.lock();
        let session = all.remove(&browser.cookie.hash()).unwrap_or_default();
        let cookie = Secret::random();
        insert(&mut all, &cookie, session);
        Browser { cookie, is_new: true }
    }

    /// Nothing can be left half-done in a map of plain values.
    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Browser {
    /// The `Set-Cookie` value of a new session. The demo is reached by plain http on loopback, so there is no `Secure`.
    pub fn set_cookie(&self) -> HeaderValue {
        let text = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax", self.cookie.expose());
        // A secret is base64url, so this is always a header value; an empty one sets no cookie.
        let mut value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

/// When there are too many, the one that was not seen for the longest time makes room.
fn insert(all: &mut HashMap<Vec<u8>, Session>, cookie: &Secret, session: Session) {
    if all.len() >= MAX_SESSIONS
        && let Some(oldest) = all.iter().min_by_key(|(_, session)| session.last_seen).map(|(key, _)| key.clone())
    {
        all.remove(&oldest);
    }
    all.insert(cookie.hash(), session);
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE as COOKIE_HEADER;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn request(browser: &Browser) -> HeaderMap {
        let text = format!("tessera_session=x; {COOKIE}={}", browser.cookie.expose());
        HeaderMap::from_iter([(COOKIE_HEADER, HeaderValue::try_from(text).unwrap())])
    }

    fn pending(state: &str) -> Pending {
        Pending { state: state.to_owned(), nonce: String::new(), code_verifier: Secret::random(), begun_at: NOW }
    }

    #[test]
    fn a_browser_is_known_by_its_cookie_until_it_is_renewed_or_stays_away() {
        let sessions = Sessions::default();
        let first = sessions.open(&HeaderMap::new(), NOW);
        assert!(first.is_new);
        assert!(!sessions.open(&request(&first), NOW).is_new);
        sessions.with(&first, |session| session.signing_out = Some("x".to_owned()));
        let second = sessions.renew(&first);
        assert!(sessions.open(&request(&first), NOW).is_new, "the old cookie is worth nothing");
        assert!(!sessions.open(&request(&second), NOW).is_new);
        assert_eq!(sessions.with(&second, |session| session.signing_out.clone()).as_deref(), Some("x"));
        assert!(sessions.open(&request(&second), NOW + LIFETIME).is_new);
    }

    #[test]
    fn there_are_never_too_many() {
        let sessions = Sessions::default();
        let first = sessions.open(&HeaderMap::new(), NOW);
        for _ in 0..MAX_SESSIONS {
            sessions.open(&HeaderMap::new(), NOW + Duration::from_secs(1));
        }
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
        assert!(sessions.open(&request(&first), NOW + Duration::from_secs(1)).is_new);
    }

    #[test]
    fn a_sign_in_ends_once_and_in_time() {
        let mut session = Session::default();
        session.begin_sign_in(pending("a"));
        session.begin_sign_in(pending("b"));
        assert!(session.finish_sign_in("c", NOW).is_none());
        assert!(session.finish_sign_in("a", NOW).is_some());
        assert!(session.finish_sign_in("a", NOW).is_none());
        assert!(session.finish_sign_in("b", NOW + PENDING_LIFETIME).is_none());
        for name in ["1", "2", "3", "4", "5", "6"] {
            session.begin_sign_in(pending(name));
        }
        assert!(session.finish_sign_in("1", NOW).is_none(), "the oldest made room");
    }
}
