//! The demo's app (a relying party): signs a person in with the provider, shows the tokens that it got, and does with them what an app
//! does. Plain forms, no script. It behaves as an app should: look here for how to integrate one by hand.

mod actions;
mod experiments;
mod findings;
mod history;
mod id_token;
mod report;
mod sessions;
mod sign_in;
mod tight_loop;
mod view;
mod words;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, RawQuery, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Mutex;

use super::operator::Operator;
use super::provider::Provider;
use crate::clock::Timestamp;
use crate::http::csrf;
use crate::http::headers::set_page_headers;
use crate::http::params::{MAX_BODY, Params};
use crate::model::Secret;
use crate::model::secret::random_bytes;
use sessions::{Browser, Sessions};

const STYLE: &str = include_str!("../../../static/demo.css");
const ICON: &str = include_str!("../../../static/demo.svg");

/// The app, apart from its sockets.
pub struct RelyingParty {
    provider: Provider,
    /// Its own origin, such as `http://localhost:8001`.
    origin: String,
    /// The API's.
    api: String,
    client_id: String,
    client_secret: Secret,
    csrf_key: [u8; 32],
    content_security_policy: HeaderValue,
    sessions: Sessions,
    operator: Operator,
    /// Held while something is measured.
    one_experiment: Mutex<()>,
}

type Shared = Arc<RelyingParty>;

/// A form that did not come from a page that this browser was given lately.
struct Expired;

impl RelyingParty {
    /// The app at `origin`, which signs in with `provider` and calls `api`; the `operator` does what no app may.
    pub fn new(provider: Provider, origin: &str, api: &str, client_id: &str, client_secret: Secret, operator: Operator) -> Self {
        // The provider is in `form-action` since signing in and out are forms that redirect there.
        let policy = format!(
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
            provider.issuer
        );
        Self {
            provider,
            origin: origin.to_owned(),
            api: api.to_owned(),
            client_id: client_id.to_owned(),
            client_secret,
            csrf_key: random_bytes(),
            content_security_policy: HeaderValue::try_from(policy)
                .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'")),
            sessions: Sessions::default(),
            operator,
            one_experiment: Mutex::default(),
        }
    }

    fn now(&self) -> Timestamp {
        self.provider.clock.now()
    }

    fn redirect_uri(&self) -> String {
        redirect_uri(&self.origin)
    }

    fn post_logout_redirect_uri(&self) -> String {
        post_logout_redirect_uri(&self.origin)
    }

    fn csrf(&self, browser: &Browser) -> String {
        csrf::token(&self.csrf_key, browser.cookie.expose(), None)
    }

    /// The browser of a form, if the form is from a page of ours.
    fn posted(&self, headers: &HeaderMap, form: &Params<'_>) -> Result<Browser, Expired> {
        let browser = self.sessions.open(headers, self.now());
        let sent = form.get(csrf::FIELD).unwrap_or_default();
        let genuine = !browser.is_new
            && csrf::same_origin(headers, &self.origin)
            && csrf::check(&self.csrf_key, browser.cookie.expose(), None, sent);
        if genuine { Ok(browser) } else { Err(Expired) }
    }
}

/// Where the provider sends the authorization response to.
pub fn redirect_uri(origin: &str) -> String {
    format!("{origin}/callback")
}

/// Where the provider sends the browser after sign-out.
pub fn post_logout_redirect_uri(origin: &str) -> String {
    format!("{origin}/signed-out")
}

/// Every URL of the app.
pub fn router(app: RelyingParty) -> Router {
    let app = Arc::new(app);
    Router::new()
        .route("/", get(home))
        .route("/sign-in", post(sign_in::start))
        .route("/callback", get(sign_in::callback))
        .route("/call-api", post(actions::call_api))
        .route("/refresh", post(actions::refresh))
        .route("/revoke-access-token", post(actions::revoke_access_token))
        .route("/revoke-refresh-token", post(actions::revoke_refresh_token))
        .route("/take-back", post(experiments::take_back))
        .route("/sign-out", post(actions::sign_out))
        .route("/signed-out", get(actions::signed_out))
        .route("/demo.css", get(style))
        .route("/demo.svg", get(icon))
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(&app), security_headers))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(app)
}

async fn home(State(app): State<Shared>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let now = app.now();
    let browser = app.sessions.open(&headers, now);
    let csrf = app.csrf(&browser);
    let page = app.sessions.with(&browser, |session| view::Home::of(&app, session, csrf, query.as_deref(), now));
    let mut response = html(StatusCode::OK, &page);
    if browser.is_new {
        response.headers_mut().insert(SET_COOKIE, browser.set_cookie());
    }
    response
}

async fn not_found() -> Response {
    html(StatusCode::NOT_FOUND, &view::Problem { title: "There is no such page", words: "The demo app has one page only." })
}

async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "no-cache")], STYLE).into_response()
}

async fn icon() -> Response {
    ([(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, "no-cache")], ICON).into_response()
}

async fn security_headers(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(CONTENT_SECURITY_POLICY).or_insert_with(|| app.content_security_policy.clone());
    set_page_headers(response.headers_mut(), false);
    response
}

fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        // Writing to a String cannot fail.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// 303: the browser goes on with GET, so that a reload repeats nothing.
fn see_other(location: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

/// As `see_other`, with the cookie of a renewed session.
fn see_other_as(browser: &Browser, location: &str) -> Response {
    let mut response = see_other(location);
    response.headers_mut().insert(SET_COOKIE, browser.set_cookie());
    response
}

impl IntoResponse for Expired {
    fn into_response(self) -> Response {
        let words = "The demo was restarted, or the page lay open for a day. Nothing was done.";
        html(StatusCode::FORBIDDEN, &view::Problem { title: "This form is too old", words })
    }
}
