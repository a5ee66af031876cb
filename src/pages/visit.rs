//! Who asks for a page: the signed-in person if there is one, the address, and the cookie that form tokens are bound to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use askama::Template;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{HeaderMap, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderValue, StatusCode, request::Parts};
use axum::response::Response;

use super::html;
use super::languages::Languages;
use crate::app::App;
use crate::error::PageError;
use crate::http::{Params, cookies, csrf};
use crate::lifecycle::session::Started;
use crate::model::{Actor, Secret, User};
use crate::oidc::session::SignedIn;

/// A request for a page.
pub struct Visit {
    pub signed_in: Option<SignedIn>,
    /// For audit events: `user:<id>` or `anonymous`.
    pub actor: Actor,
    /// For the limit per address.
    pub ip: IpAddr,
    /// What the browser says of itself.
    pub user_agent: String,
    pub(super) headers: HeaderMap,
    query: String,
    /// What form tokens are bound to: the value of the browser's cookie.
    form_cookie: Secret,
    /// The browser has no such cookie yet.
    form_cookie_is_new: bool,
}

impl FromRequestParts<Arc<App>> for Visit {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let headers = &parts.headers;
        let signed_in = SignedIn::from_headers(app, headers).await?;
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let (mut actor, ip) = app.origin(headers, peer);
        if let Some(SignedIn { user, .. }) = &signed_in {
            actor.name = format!("user:{}", user.id);
        }
        let present = cookies::read(headers, app.issuer.cookies.csrf);
        Ok(Self {
            signed_in,
            actor,
            ip,
            user_agent: headers.get(USER_AGENT).and_then(|text| text.to_str().ok()).unwrap_or_default().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            form_cookie_is_new: present.is_none(),
            form_cookie: present.map_or_else(Secret::random, Secret::new),
            headers: headers.clone(),
        })
    }
}

impl Visit {
    /// The parameters of the address.
    ///
    /// # Errors
    /// A page, if they are malformed or one is there twice.
    pub fn params(&self) -> Result<Params<'_>, PageError> {
        Params::parse(self.query.as_bytes()).map_err(|error| {
            let advice = "The address is incomplete or was changed on the way. Go back to where you came from and try again.";
            PageError::new(StatusCode::BAD_REQUEST, "This address does not work", advice).with_technical(error.to_string())
        })
    }

    /// Which languages the person reads. `ui_locales`: what the app says of it.
    pub fn languages(&self, ui_locales: Option<&str>) -> Languages {
        Languages::of(ui_locales, &self.headers)
    }

    /// What goes into the form's hidden field. It holds for this browser and this session alone.
    pub fn form_token(&self, app: &App) -> String {
        csrf::token(&app.secrets.csrf, self.form_cookie.expose(), self.sid())
    }

    /// Whether `sent` is the token that a page of ours gave this browser in this session.
    pub fn is_form_token(&self, app: &App, sent: &str) -> bool {
        !self.form_cookie_is_new && csrf::check(&app.secrets.csrf, self.form_cookie.expose(), self.sid(), sent)
    }

    fn sid(&self) -> Option<&str> {
        self.signed_in.as_ref().map(|signed_in| signed_in.session.id.as_str())
    }

    /// A page with a form, and the cookie that its token is bound to.
    pub fn page(&self, app: &App, view: &impl Template) -> Response {
        let mut response = html(view);
        if self.form_cookie_is_new {
            let names = &app.issuer.cookies;
            response.headers_mut().append(SET_COOKIE, names.set(names.csrf, self.form_cookie.expose(), None));
        }
        response
    }

    /// Goes on as `user`, whose session has just begun. The answer must carry its cookie: `session_cookie`.
    pub fn signed_in_as(&mut self, started: &Started, user: User) {
        self.actor.name = format!("user:{}", user.id);
        self.signed_in = Some(SignedIn { session: started.session.clone(), user });
    }
}

/// The `Set-Cookie` of a session that has just begun or was renewed. The browser forgets it when the session expires.
pub fn session_cookie(app: &App, started: &Started) -> HeaderValue {
    let left = started.session.expires_at.since(app.now()).as_secs();
    let names = &app.issuer.cookies;
    names.set(names.session, started.cookie.expose(), Some(u32::try_from(left).unwrap_or(u32::MAX)))
}

/// Makes the browser forget its session.
pub fn forget_session(app: &App, mut response: Response) -> Response {
    let names = &app.issuer.cookies;
    response.headers_mut().append(SET_COOKIE, names.clear(names.session));
    response
}

/// `response` with a `Set-Cookie`.
pub fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}
