//! The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2): find the client, make a return address, check the
//! request, decide; then a page asks the person, or a code goes back.

mod decide;
mod request;
mod return_address;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;
use crate::error::{ErrorCode, OAuthError, PageError};
use crate::http::RetryAfter;
use crate::http::client_ip::rate_limit_key;
use crate::http::params::{self, Params};
use crate::http::rate_limit::Key;
use crate::model::authorization::ResponseMode;
use crate::model::{AuthorizationCode, AuthorizationRequest, Client, Json, ScopeSet, Secret, Session, User};
use crate::oidc::session::SignedIn;
use crate::oidc::token::Peer;
use crate::store::{authorization, grants, sessions};

pub use decide::Decision;
pub use return_address::{FormPost, ReturnAddress, with_query};

/// How long a request waits for its person.
const REQUEST_LIFETIME: Duration = Duration::from_secs(3_600);

/// `GET /authorize`
pub async fn get(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let Received { client, address, checked } = receive(&app, query.unwrap_or_default().as_bytes()).await?;
    let request = match checked {
        Ok(request) => request,
        Err(error) => return Ok(address.send_error(&error)),
    };
    let signed_in = SignedIn::from_headers(&app, &headers).await?;
    match decide_now(&app, &request, &client, signed_in.as_ref()).await? {
        Decision::Refuse(error) => Ok(address.send_error(&error)),
        Decision::Issue(scope) => match signed_in {
            Some(signed_in) => issue(&app, None, &request, &address, &signed_in, scope).await,
            None => Err(PageError::internal("a code was to be issued to nobody")),
        },
        question => match limit_waiting(&app, &headers, peer).await {
            Ok(()) => Ok(ask(&app, question, &store(&app, request).await?)),
            Err(busy) => Ok(address.send_error(&busy)),
        },
    }
}

/// `POST /authorize`. A POST from another site brings no `SameSite=Lax` cookie, so it is stored and goes on by GET: single
/// sign-on still works.
pub async fn post(State(app): State<Arc<App>>, peer: Peer, headers: HeaderMap, body: Bytes) -> Result<Response, PageError> {
    if !params::is_form(&headers) {
        return Err(PageError::bad_link("The request is not application/x-www-form-urlencoded."));
    }
    let Received { address, checked, .. } = receive(&app, &body).await?;
    match (checked, limit_waiting(&app, &headers, peer).await) {
        (Ok(request), Ok(())) => Ok(go_on(&app, &store(&app, request).await?)),
        (Err(error), _) | (_, Err(error)) => Ok(address.send_error(&error)),
    }
}

/// `GET /authorize/resume?request=…`: a stored request goes on, after sign-in or consent.
pub async fn resume(State(app): State<Arc<App>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let query = query.unwrap_or_default();
    let params = Params::parse(query.as_bytes()).map_err(|error| PageError::expired().because(error.to_string()))?;
    let id = Secret::new(params.get("request").ok_or_else(PageError::expired)?);
    let stored = find(&app, &id).await?;
    let signed_in = SignedIn::from_headers(&app, &headers).await?;
    match decide_now(&app, &stored.request, &stored.client, signed_in.as_ref()).await? {
        Decision::Refuse(error) => refuse(&app, &stored, &error).await,
        Decision::Issue(scope) => match signed_in {
            Some(signed_in) => issue(&app, Some(&id), &stored.request, &stored.address, &signed_in, scope).await,
            None => Err(PageError::internal("a code was to be issued to nobody")),
        },
        question => Ok(ask(&app, question, &id)),
    }
}

/// A stored request, with what the pages need to show of it.
pub struct Stored {
    pub request: AuthorizationRequest,
    pub client: Arc<Client>,
    address: ReturnAddress,
}

impl Stored {
    /// Where the browser will be sent: for the consent page to name.
    pub fn redirect_uri(&self) -> &str {
        self.address.uri()
    }
}

/// The stored request that a page names.
///
/// # Errors
/// A page, if it has expired, was answered, or its client is gone.
pub async fn find(app: &App, id: &Secret) -> Result<Stored, PageError> {
    let request = authorization::find_request(&mut app.store.read().await?, &id.hash(), app.now()).await?;
    let request = request.ok_or_else(PageError::expired)?;
    let client = find_client(app, Some(&request.client_id)).await?;
    let parameters = &request.parameters;
    // Checked again: the client may have changed its redirect URIs while the person was typing.
    let address = ReturnAddress::check(
        &client,
        Some(&parameters.redirect_uri),
        parameters.response_mode,
        parameters.state.clone(),
        &app.issuer.url,
    )?;
    Ok(Stored { request, client, address })
}

/// What the provider would do with a stored request now: the pages show themselves only if they are what is asked for.
pub async fn decide_stored(app: &App, stored: &Stored, signed_in: Option<&SignedIn>) -> Result<Decision, PageError> {
    decide_now(app, &stored.request, &stored.client, signed_in).await
}

/// Answers a stored request with an error, once.
pub async fn refuse(app: &App, stored: &Stored, error: &OAuthError) -> Result<Response, PageError> {
    let mut tx = app.store.begin().await?;
    if !authorization::take_request(&mut tx, &stored.request.id_hash).await? {
        return Err(PageError::expired());
    }
    tx.commit().await?;
    Ok(stored.address.send_error(error))
}

/// Sends the browser on with a stored request, by GET.
pub fn go_on(app: &App, id: &Secret) -> Response {
    Redirect::to(&format!("{}/authorize/resume?request={}", app.issuer.path, id.expose())).into_response()
}

struct Received {
    client: Arc<Client>,
    address: ReturnAddress,
    checked: Result<AuthorizationRequest, OAuthError>,
}

/// Reads a request. Until the return address is known an error is a page, afterwards it goes to the client.
async fn receive(app: &App, form: &[u8]) -> Result<Received, PageError> {
    let params = Params::parse_with_repeated(form).map_err(|error| PageError::bad_link(error.to_string()))?;
    if let Some(name) = params.repeated().filter(|name| matches!(*name, "client_id" | "redirect_uri")) {
        return Err(PageError::bad_link(format!("The parameter {name} is there more than once.")));
    }
    let client = find_client(app, params.get("client_id")).await?;
    let (mode, mode_error) = match params.get("response_mode") {
        None | Some("query") => (ResponseMode::Query, None),
        Some("form_post") => (ResponseMode::FormPost, None),
        Some(_) => {
            (ResponseMode::Query, Some(OAuthError::new(ErrorCode::InvalidRequest, "response_mode must be query or form_post.")))
        }
    };
    let state = params.get("state").map(str::to_owned);
    let address = ReturnAddress::check(&client, params.get("redirect_uri"), mode, state, &app.issuer.url)?;
    let checked = mode_error.map_or_else(|| request::check(app, &client, &address, &params), Err).map(|parameters| {
        let now = app.now();
        AuthorizationRequest {
            id_hash: Vec::new(),
            client_id: client.id.clone(),
            parameters: Json(parameters),
            created_at: now,
            expires_at: now + REQUEST_LIFETIME,
        }
    });
    Ok(Received { client, address, checked })
}

async fn find_client(app: &App, id: Option<&str>) -> Result<Arc<Client>, PageError> {
    let id = id.ok_or_else(|| PageError::bad_link("The request has no client_id."))?;
    match app.clients.find(&app.store, id, app.now()).await? {
        None => Err(PageError::bad_link("The client_id of the request is not known here.")),
        Some(client) if client.disabled_at.is_some() => Err(PageError::new(
            StatusCode::BAD_REQUEST,
            "This app is switched off",
            "The people who run this service have switched off sign-in for this app. Ask them if you think that this is a mistake.",
        )),
        Some(client) => Ok(client),
    }
}

async fn decide_now(
    app: &App,
    request: &AuthorizationRequest,
    client: &Client,
    signed_in: Option<&SignedIn>,
) -> Result<Decision, PageError> {
    let grant = match signed_in {
        Some(SignedIn { user, .. }) => grants::find(&mut app.store.read().await?, &user.id, &client.id).await?,
        None => None,
    };
    Ok(decide::decide(request, client, signed_in.map(|signed_in| &signed_in.session), grant.as_ref(), app.now()))
}

/// Anybody may send requests that wait, and each takes room in the database: so many from one address, and no more.
///
/// # Errors
/// `temporarily_unavailable`
async fn limit_waiting(app: &App, headers: &HeaderMap, peer: Peer) -> Result<(), OAuthError> {
    let (_, ip) = app.origin(headers, peer.map(|Extension(ConnectInfo(peer))| peer));
    let key = Key::new("waiting request", &rate_limit_key(ip));
    let limits = &app.config.limits;
    let window = Duration::from_secs(limits.window.into());
    let allowed = app.limits.begin(key, limits.waiting_requests_per_address, window, app.now()).await;
    allowed.map_err(|RetryAfter(wait)| OAuthError::busy(wait).because(format!("too many authorization requests from {ip}")))
}

/// Keeps a request while its person is asked. Gives the name under which it goes on; the database has only the hash.
async fn store(app: &App, mut request: AuthorizationRequest) -> Result<Secret, PageError> {
    let id = Secret::random();
    request.id_hash = id.hash();
    let mut tx = app.store.begin().await?;
    authorization::insert_request(&mut tx, &request).await?;
    tx.commit().await?;
    Ok(id)
}

/// Sends the browser to the page that asks.
fn ask(app: &App, question: Decision, id: &Secret) -> Response {
    let page = match question {
        Decision::Consent(_) => "consent",
        Decision::SelectAccount => "select-account",
        _ => "login",
    };
    Redirect::to(&format!("{}/{page}?request={}", app.issuer.path, id.expose())).into_response()
}

/// Issues a code for `scope`, and answers the request with it.
async fn issue(
    app: &App,
    stored_as: Option<&Secret>,
    request: &AuthorizationRequest,
    address: &ReturnAddress,
    signed_in: &SignedIn,
    scope: ScopeSet,
) -> Result<Response, PageError> {
    let now = app.now();
    let SignedIn { session, user } = signed_in;
    let code = Secret::random();
    let row = code_row(app, &code, request, session, user, scope, now);
    let mut tx = app.store.begin().await?;
    if let Some(id) = stored_as
        && !authorization::take_request(&mut tx, &id.hash()).await?
    {
        return Err(PageError::expired());
    }
    authorization::insert_code(&mut tx, &row).await?;
    sessions::touch(&mut tx, &session.id, now).await?;
    tx.commit().await?;
    Ok(address.send_code(code.expose()))
}

fn code_row(
    app: &App,
    code: &Secret,
    request: &AuthorizationRequest,
    session: &Session,
    user: &User,
    scope: ScopeSet,
    now: crate::clock::Timestamp,
) -> AuthorizationCode {
    AuthorizationCode {
        code_hash: code.hash(),
        client_id: request.client_id.clone(),
        user_id: user.id.clone(),
        session_id: session.id.clone(),
        parameters: request.parameters.clone(),
        scope: Json(scope),
        auth_time: session.auth_time,
        amr: session.amr.clone(),
        // Never before the session: see `lifecycle::session::start`.
        created_at: now.max(session.created_at),
        expires_at: now + Duration::from_secs(app.config.tokens.authorization_code_lifetime.into()),
        redeemed_at: None,
        family_id: None,
        access_token_jti: None,
        access_token_expires_at: None,
    }
}
