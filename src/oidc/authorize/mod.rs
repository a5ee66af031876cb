//! The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2): find the client, make a return address, check the
//! request, decide; then a page asks the person, or a code goes back.

mod decide;
mod effective;
mod front_channel;
mod issue;
mod limits;
pub mod par;
mod receive;
mod request;
pub mod request_object;
mod request_uri;
mod response_type;
mod return_address;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;
use crate::error::{OAuthError, PageError};
use crate::http::params::{self, Params};
use crate::model::{AuthorizationRequest, Client, Secret, User};
use crate::oidc::session::SignedIn;
use crate::oidc::subject;
use crate::oidc::token::Peer;
use crate::store::{authorization, grants};

use decide::Present;
use issue::Answer;
use receive::{Received, find_client, receive};

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
    // Before anything is read: see `token::subject::load`.
    let received_at = app.now();
    let Received { client, address, checked } =
        receive(&app, ip_of(&app, &headers, peer), query.unwrap_or_default().as_bytes()).await?;
    let request = match checked {
        Ok(request) => request,
        Err(error) => return Ok(address.send_error(&error)),
    };
    let signed_in = SignedIn::from_headers(&app, &headers).await?;
    let answer = Answer { stored_as: None, request: &request, client: &client, address: &address, received_at };
    match decide_now(&app, &request, &client, signed_in.as_ref()).await? {
        Decision::Refuse(error) => answer.refuse(&app, &error).await,
        Decision::Issue(scope) => match signed_in {
            Some(signed_in) => answer.issue(&app, &signed_in, scope).await,
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
    let Received { address, checked, .. } = receive(&app, ip_of(&app, &headers, peer), &body).await?;
    match (checked, limit_waiting(&app, &headers, peer).await) {
        (Ok(request), Ok(())) => Ok(go_on(&app, &store(&app, request).await?)),
        (Err(error), _) | (_, Err(error)) => Ok(address.send_error(&error)),
    }
}

/// `GET /authorize/resume?request=…`: a stored request goes on, after sign-in or consent.
pub async fn resume(State(app): State<Arc<App>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let received_at = app.now();
    let query = query.unwrap_or_default();
    let params = Params::parse(query.as_bytes()).map_err(|error| PageError::expired().because(error.to_string()))?;
    let id = Secret::new(params.get("request").ok_or_else(PageError::expired)?);
    let stored = find(&app, &id).await?;
    let signed_in = SignedIn::from_headers(&app, &headers).await?;
    let Stored { request, client, address } = &stored;
    let answer = Answer { stored_as: Some(&id), request, client, address, received_at };
    match decide_now(&app, request, client, signed_in.as_ref()).await? {
        Decision::Refuse(error) => answer.refuse(&app, &error).await,
        Decision::Issue(scope) => match signed_in {
            Some(signed_in) => answer.issue(&app, &signed_in, scope).await,
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

    /// Whether a consent to it holds for the next request too.
    pub fn remembers_consent(&self) -> bool {
        decide::remembers_consent(&self.request, &self.client)
    }

    /// Whether this person may answer it: the app may have named somebody else.
    pub fn expects(&self, app: &App, user: &User) -> Result<bool, PageError> {
        let sub = subject::for_client(app, &self.client, &user.id);
        let sub = sub.map_err(|error| PageError::internal(error.detail.unwrap_or_default()))?;
        Ok(decide::is_expected(&self.request, &sub))
    }
}

/// The stored request that a page names.
///
/// # Errors
/// A page, if it has expired, was answered, or its client is gone.
pub async fn find(app: &App, id: &Secret) -> Result<Stored, PageError> {
    let request = authorization::find_request(&mut app.store.read().await?, &id.hash(), app.now()).await?;
    let request = request.ok_or_else(PageError::expired)?;
    let client = find_client(app, &request.client_id).await?;
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

async fn decide_now(
    app: &App,
    request: &AuthorizationRequest,
    client: &Client,
    signed_in: Option<&SignedIn>,
) -> Result<Decision, PageError> {
    // The request may have waited while the operator switched its response type off.
    if let Err(error) = response_type::check_allowed(&app.config, client, request.parameters.response_type) {
        return Ok(Decision::Refuse(error));
    }
    let Some(SignedIn { session, user }) = signed_in else {
        return Ok(decide::decide(request, client, None, None, app.now()));
    };
    let grant = grants::find(&mut app.store.read().await?, &user.id, &client.id).await?;
    let sub = match subject::for_client(app, client, &user.id) {
        Ok(sub) => sub,
        Err(error) => return Ok(Decision::Refuse(error)),
    };
    Ok(decide::decide(request, client, Some(Present { session, sub: &sub }), grant.as_ref(), app.now()))
}

/// Anybody may send requests that wait, and each takes room in the database: so many from one address, and no more.
///
/// # Errors
/// `temporarily_unavailable`
async fn limit_waiting(app: &App, headers: &HeaderMap, peer: Peer) -> Result<(), OAuthError> {
    limits::per_address(app, "waiting request", ip_of(app, headers, peer)).await
}

fn ip_of(app: &App, headers: &HeaderMap, peer: Peer) -> IpAddr {
    app.origin(headers, peer.map(|Extension(ConnectInfo(peer))| peer)).1
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
