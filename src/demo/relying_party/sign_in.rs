//! Signing in by authorization code with PKCE (RFC 6749 §4.1, RFC 7636, OpenID Connect Core §3.1).

use std::fmt::Write;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::history::{Event, Went};
use super::id_token::{self, Ties};
use super::sessions::{Pending, Tokens};
use super::{Expired, RelyingParty, Shared, see_other, see_other_as};
use crate::demo::http_client::{Answer, Credentials};
use crate::demo::resource_server;
use crate::http::params::Params;
use crate::model::Secret;

/// What the app asks for in any case.
const SCOPE: &str = "openid profile email roles";

/// `POST /sign-in`: off to the provider.
pub(super) async fn start(State(app): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Response, Expired> {
    let form = Params::parse(&body).map_err(|_| Expired)?;
    let browser = app.posted(&headers, &form)?;
    let endpoint = match app.provider.endpoints().await {
        Ok(endpoints) => &endpoints.authorization,
        Err(error) => {
            let event = Event::new(app.now(), Went::Refused, "Could not begin to sign in", format!("{error}."));
            app.sessions.with(&browser, |session| session.note(event));
            return Ok(see_other("/"));
        }
    };
    let pending = Pending {
        state: Secret::random().expose().to_owned(),
        nonce: Secret::random().expose().to_owned(),
        code_verifier: Secret::random(),
        begun_at: app.now(),
    };
    let mut scope = SCOPE.to_owned();
    if form.get("notes").is_some() {
        // Writing to a String cannot fail.
        let _ = write!(scope, " {}", resource_server::SCOPE);
    }
    let code_challenge = URL_SAFE_NO_PAD.encode(pending.code_verifier.hash());
    let redirect_uri = app.redirect_uri();
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([
        ("response_type", "code"),
        ("client_id", &app.client_id),
        ("redirect_uri", &redirect_uri),
        ("scope", &scope),
        ("state", &pending.state),
        ("nonce", &pending.nonce),
        ("code_challenge", &code_challenge),
        ("code_challenge_method", "S256"),
    ]);
    if form.get("other_account").is_some() {
        query.append_pair("prompt", "select_account");
    }
    let location = format!("{endpoint}?{}", query.finish());
    app.sessions.with(&browser, |session| session.begin_sign_in(pending));
    Ok(see_other(&location))
}

/// `GET /callback`: back from the provider, with a code or an error.
pub(super) async fn callback(State(app): State<Shared>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let browser = app.sessions.open(&headers, app.now());
    let query = query.unwrap_or_default();
    let outcome = match Params::parse(query.as_bytes()) {
        Ok(params) => {
            let state = params.get("state").unwrap_or_default();
            let pending = app.sessions.with(&browser, |session| session.finish_sign_in(state, app.now()));
            finish(&app, pending, &params).await
        }
        Err(error) => Err(format!("The provider’s answer is malformed: {error}.")),
    };
    let now = app.now();
    match outcome {
        Ok(tokens) => {
            let name = tokens.userinfo.get("name").or_else(|| tokens.userinfo.get("email"));
            let title = format!("Signed in as {}", name.and_then(Value::as_str).unwrap_or("somebody"));
            let detail = "The provider sent a code; the app exchanged it for tokens, and checked the ID token’s signature, issuer, \
                          audience, times, nonce and at_hash.";
            app.sessions.with(&browser, |session| {
                session.tokens = Some(tokens);
                session.report = None;
                session.note(Event::new(now, Went::Well, title, detail));
            });
            see_other_as(&app.sessions.renew(&browser), "/")
        }
        Err(reason) => {
            app.sessions
                .with(&browser, |session| session.note(Event::new(now, Went::Refused, "Sign-in did not succeed", reason)));
            match browser.is_new {
                true => see_other_as(&browser, "/"),
                false => see_other("/"),
            }
        }
    }
}

/// The checks of an authorization response, in order, then the exchange. The error is for the person.
async fn finish(app: &RelyingParty, pending: Option<Pending>, params: &Params<'_>) -> Result<Tokens, String> {
    let pending =
        pending.ok_or("The answer belongs to no sign-in that this browser began here (state). Please sign in again.")?;
    if params.get("iss") != Some(&app.provider.issuer) {
        // RFC 9207 §2.4: another provider's answer must not be mixed up with this one's.
        return Err("The answer is from another provider than the one that was asked (iss).".to_owned());
    }
    match (params.get("code"), params.get("error")) {
        (Some(code), None) => exchange(app, &pending, code).await,
        (_, Some("access_denied")) => Err("You said no on the consent page, so the app got nothing (access_denied).".to_owned()),
        (_, error) => Err(format!("The provider says: {}.", error.unwrap_or("nothing"))),
    }
}

async fn exchange(app: &RelyingParty, pending: &Pending, code: &str) -> Result<Tokens, String> {
    let redirect_uri = app.redirect_uri();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &redirect_uri),
        ("code_verifier", pending.code_verifier.expose()),
    ];
    let response = match token_request(app, &fields).await? {
        Ok(response) => response,
        Err(refused) => return Err(format!("The provider refused the code: {}.", refused.error)),
    };
    let id_token = response.id_token.ok_or("The provider sent no ID token.")?;
    let ties = Ties { nonce: Some(&pending.nonce), access_token: &response.access_token, sub: None };
    let id_claims = id_token::check(app, &id_token, &ties).await.map_err(|error| format!("The app does not believe {error}."))?;
    let userinfo = userinfo(app, &response.access_token, id_claims.get("sub")).await?;
    Ok(Tokens {
        access_claims: read_claims(&response.access_token),
        access_token: response.access_token,
        id_token,
        id_claims,
        userinfo,
        refresh_count: u32::from(response.refresh_token.is_some()),
        refresh_token: response.refresh_token.map(Secret::new),
        obtained_at: app.now(),
        access_revoked_at: None,
        refresh_ended_at: None,
    })
}

/// A token response (RFC 6749 §5.1).
#[derive(Deserialize)]
pub(super) struct TokenResponse {
    pub access_token: String,
    pub id_token: Option<String>,
    pub refresh_token: Option<String>,
}

/// RFC 6749 §5.2.
pub(super) struct Refused {
    pub error: String,
}

/// Asks the token endpoint. The outer error is for the person: there was no answer, or not one of a provider.
pub(super) async fn token_request(app: &RelyingParty, fields: &[(&str, &str)]) -> Result<Result<TokenResponse, Refused>, String> {
    let failed = |reason: String| format!("The app could not get tokens: {reason}.");
    let endpoint = &app.provider.endpoints().await.map_err(|error| failed(error.to_string()))?.token;
    let answer = app
        .provider
        .http
        .post_form(endpoint, fields, Credentials::Basic(&app.client_id, &app.client_secret))
        .await
        .map_err(|error| failed(error.to_string()))?;
    read_token_response(&answer).map_err(failed)
}

fn read_token_response(answer: &Answer) -> Result<Result<TokenResponse, Refused>, String> {
    if answer.status == StatusCode::OK {
        let response = serde_json::from_slice(&answer.body).map_err(|_| "the answer is not a token response".to_owned())?;
        return Ok(Ok(response));
    }
    let error = answer.json().get("error").and_then(Value::as_str).map(str::to_owned);
    Ok(Err(Refused { error: error.ok_or_else(|| format!("the token endpoint answered {}", answer.status))? }))
}

/// OpenID Connect Core §5.3.2: believed only if it is about the person whom the ID token names.
async fn userinfo(app: &RelyingParty, access_token: &str, sub: Option<&Value>) -> Result<Map<String, Value>, String> {
    let failed = |reason: String| format!("The app could not ask who you are: {reason}.");
    let endpoint = &app.provider.endpoints().await.map_err(|error| failed(error.to_string()))?.userinfo;
    let answer = app.provider.http.get(endpoint, Credentials::Bearer(access_token)).await;
    let claims = answer.map_err(|error| failed(error.to_string()))?.json();
    match claims.get("sub").is_some() && claims.get("sub") == sub {
        true => Ok(claims),
        false => Err(failed("userinfo is about somebody else than the ID token".to_owned())),
    }
}

/// The claims of an access token, for show only: an app has no business reading them, a resource server verifies them.
pub(super) fn read_claims(token: &str) -> Map<String, Value> {
    read_part(token, 1)
}

/// The header of a token, for show.
pub(super) fn read_header(token: &str) -> Map<String, Value> {
    read_part(token, 0)
}

fn read_part(token: &str, index: usize) -> Map<String, Value> {
    let part = token.split('.').nth(index).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    part.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}
