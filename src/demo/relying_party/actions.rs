//! What a signed-in person can do with the tokens: call the API, refresh, take back, sign out. Each is a form; the outcome is kept in the
//! session, and the page shows it.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::history::{Event, Went};
use super::id_token::{self, Ties};
use super::report::ApiReport;
use super::sessions::{Browser, Tokens};
use super::sign_in::{TokenResponse, read_claims, token_request};
use super::{Expired, RelyingParty, Shared, see_other, see_other_as};
use crate::demo::http_client::Credentials;
use crate::http::params::Params;
use crate::model::Secret;

/// Where the outcome stands on the page.
const RESULT: &str = "/#api-result";
const HISTORY: &str = "/#history";

/// `POST /call-api`
pub(super) async fn call_api(State(app): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Response, Expired> {
    let (browser, tokens) = signed_in(&app, &headers, &body)?;
    let Some(tokens) = tokens else { return Ok(see_other("/")) };
    let answer = app.provider.http.get(&format!("{}/notes", app.api), Credentials::Bearer(&tokens.access_token)).await;
    let report = match answer {
        Ok(answer) => ApiReport::of(&answer, &tokens, app.now()),
        Err(error) => ApiReport::unreachable(&error.to_string(), app.now()),
    };
    app.sessions.with(&browser, |session| {
        session.note(report.event());
        session.report = Some(report);
    });
    Ok(see_other(RESULT))
}

/// `POST /refresh`
pub(super) async fn refresh(State(app): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Response, Expired> {
    let (browser, tokens) = signed_in(&app, &headers, &body)?;
    let Some(tokens) = tokens else { return Ok(see_other("/")) };
    let (renewed, event) = refreshed(&app, tokens).await;
    app.sessions.with(&browser, |session| {
        if renewed.is_some() {
            session.tokens = renewed;
        }
        session.note(event);
    });
    Ok(see_other(HISTORY))
}

/// Refreshes: the tokens from now on, unless nothing became known about them, and what to say of it.
pub(super) async fn refreshed(app: &RelyingParty, tokens: Tokens) -> (Option<Tokens>, Event) {
    let now = app.now();
    let Some(refresh_token) = &tokens.refresh_token else {
        return (None, Event::new(now, Went::Refused, "No refresh token", "The provider gave the app none."));
    };
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
    match token_request(app, &fields).await {
        Ok(Ok(response)) => renew(app, tokens, response).await,
        Ok(Err(refused)) => {
            let why = match (refused.error.as_str(), tokens.refresh_ended_at) {
                ("invalid_grant", Some(_)) => {
                    "The refresh token was taken back, so it gives no more tokens. To go on, the person has to sign in again."
                }
                ("invalid_grant", None) => {
                    "The provider no longer honours the refresh token: the password was changed, the sign-in was ended, or access \
                     was removed. To go on, the person has to sign in again."
                }
                _ => "The provider refuses to renew the tokens.",
            };
            let event = Event::new(now, Went::Refused, format!("Refresh refused: {}", refused.error), why);
            let ended_at = tokens.refresh_ended_at.or(Some(now));
            (Some(Tokens { refresh_ended_at: ended_at, ..tokens }), event)
        }
        Err(reason) => (None, Event::new(now, Went::Refused, "Refresh failed", reason)),
    }
}

/// The tokens after a refresh, if they are believed, and what to say of it.
async fn renew(app: &RelyingParty, old: Tokens, response: TokenResponse) -> (Option<Tokens>, Event) {
    let now = app.now();
    let mut id = (old.id_token, old.id_claims);
    if let Some(id_token) = response.id_token {
        let ties = Ties { nonce: None, access_token: &response.access_token, sub: id.1.get("sub").and_then(Value::as_str) };
        match id_token::check(app, &id_token, &ties).await {
            Ok(claims) => id = (id_token, claims),
            Err(reason) => {
                let event = Event::new(now, Went::Refused, "Refresh failed", format!("The app does not believe {reason}."));
                return (None, event);
            }
        }
    }
    let rotated = response.refresh_token.is_some();
    let refresh_count = old.refresh_count + u32::from(rotated);
    let detail = match rotated {
        true => format!(
            "A new access token, and refresh token number {refresh_count}: number {} is used up. If anybody shows that one again \
             later, the provider takes it for stolen and ends the whole family.",
            old.refresh_count
        ),
        false => "A new access token. The refresh token stays the same.".to_owned(),
    };
    let tokens = Tokens {
        access_claims: read_claims(&response.access_token),
        access_token: response.access_token,
        id_token: id.0,
        id_claims: id.1,
        userinfo: old.userinfo,
        refresh_token: response.refresh_token.map(Secret::new).or(old.refresh_token),
        refresh_count,
        obtained_at: now,
        access_revoked_at: None,
        refresh_ended_at: None,
    };
    (Some(tokens), Event::new(now, Went::Well, "Refreshed the tokens", detail))
}

/// `POST /revoke-access-token` (RFC 7009).
pub(super) async fn revoke_access_token(State(app): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Response, Expired> {
    let (browser, tokens) = signed_in(&app, &headers, &body)?;
    let Some(tokens) = tokens else { return Ok(see_other("/")) };
    let revoked = revoke(&app, &tokens.access_token, "access_token").await;
    let now = app.now();
    app.sessions.with(&browser, |session| match revoked {
        Ok(()) => {
            if let Some(tokens) = &mut session.tokens {
                tokens.access_revoked_at.get_or_insert(now);
            }
            let detail = "The API hears of it within a second, and refuses it although its signature stays good. The refresh token \
                          still gives a new one.";
            session.note(Event::new(now, Went::Ended, "Took the access token back", detail));
        }
        Err(reason) => session.note(Event::new(now, Went::Refused, "Could not take the token back", reason)),
    });
    Ok(see_other(HISTORY))
}

/// `POST /revoke-refresh-token` (RFC 7009 §2.1): the access tokens that came with it go too.
pub(super) async fn revoke_refresh_token(
    State(app): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Expired> {
    let (browser, tokens) = signed_in(&app, &headers, &body)?;
    let Some(tokens) = tokens else { return Ok(see_other("/")) };
    let revoked = match &tokens.refresh_token {
        Some(token) => revoke(&app, token.expose(), "refresh_token").await,
        None => Err("The provider gave the app no refresh token.".to_owned()),
    };
    let now = app.now();
    app.sessions.with(&browser, |session| match revoked {
        Ok(()) => {
            if let Some(tokens) = &mut session.tokens {
                tokens.access_revoked_at.get_or_insert(now);
                tokens.refresh_ended_at.get_or_insert(now);
            }
            let detail = "The refresh token and every access token that came with it are refused from now on. You are still signed \
                          in at the provider, so signing in here again asks nothing.";
            session.note(Event::new(now, Went::Ended, "Took everything back", detail));
        }
        Err(reason) => session.note(Event::new(now, Went::Refused, "Could not take the tokens back", reason)),
    });
    Ok(see_other(HISTORY))
}

pub(super) async fn revoke(app: &RelyingParty, token: &str, hint: &str) -> Result<(), String> {
    let endpoint = &app.provider.endpoints().await.map_err(|error| format!("{error}."))?.revocation;
    let fields = [("token", token), ("token_type_hint", hint)];
    let credentials = Credentials::Basic(&app.client_id, &app.client_secret);
    let answer = app.provider.http.post_form(endpoint, &fields, credentials).await.map_err(|error| format!("{error}."))?;
    match answer.status {
        StatusCode::OK => Ok(()),
        status => Err(format!("The provider answered {status}.")),
    }
}

/// `POST /sign-out`: here at once, and then at the provider (OpenID Connect RP-Initiated Logout 1.0 §2).
pub(super) async fn sign_out(State(app): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Response, Expired> {
    let (browser, tokens) = signed_in(&app, &headers, &body)?;
    let Some(tokens) = tokens else { return Ok(see_other("/")) };
    let state = Secret::random().expose().to_owned();
    let detail = "The app forgot its tokens and sent you to the provider to sign out there too.";
    app.sessions.with(&browser, |session| {
        session.tokens = None;
        session.report = None;
        session.signing_out = Some(state.clone());
        session.note(Event::new(app.now(), Went::Ended, "Signed out of this app", detail));
    });
    let browser = app.sessions.renew(&browser);
    let Ok(endpoints) = app.provider.endpoints().await else { return Ok(see_other_as(&browser, "/")) };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([
        ("id_token_hint", tokens.id_token.as_str()),
        ("post_logout_redirect_uri", &app.post_logout_redirect_uri()),
        ("state", &state),
    ]);
    Ok(see_other_as(&browser, &format!("{}?{}", endpoints.end_session, query.finish())))
}

/// `GET /signed-out`: back from the provider.
pub(super) async fn signed_out(State(app): State<Shared>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let now = app.now();
    let browser = app.sessions.open(&headers, now);
    let query = query.unwrap_or_default();
    let state = Params::parse(query.as_bytes()).ok().and_then(|params| params.get("state").map(str::to_owned));
    app.sessions.with(&browser, |session| {
        if session.signing_out.is_some() && session.signing_out.take() == state {
            let detail = "Every token of that sign-in is refused from now on, here and in every other app.";
            session.note(Event::new(now, Went::Ended, "Signed out at the provider", detail));
        }
    });
    match browser.is_new {
        true => see_other_as(&browser, "/"),
        false => see_other("/"),
    }
}

fn signed_in(app: &RelyingParty, headers: &HeaderMap, body: &Bytes) -> Result<(Browser, Option<Tokens>), Expired> {
    let form = Params::parse(body).map_err(|_| Expired)?;
    let browser = app.posted(headers, &form)?;
    let tokens = app.sessions.with(&browser, |session| session.tokens.clone());
    Ok((browser, tokens))
}
