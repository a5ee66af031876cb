//! "Take it back, and count the milliseconds": the app calls the API in a tight loop, one of five things takes the token back, and the page
//! shows how long after the provider's answer the API still accepted it.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::findings::{Deed, Finding};
use super::history::{Event, Went};
use super::sessions::{Browser, Tokens};
use super::sign_in::read_header;
use super::tight_loop::{TightLoop, measure, monotonic_now};
use super::{Expired, RelyingParty, Shared, actions, see_other};
use crate::demo::http_client::Credentials;
use crate::http::params::Params;

/// Where the outcome stands on the page.
pub const TAKE_BACK: &str = "/#take-back";
/// The same place, while it is not there yet.
pub const MEASURING: &str = "/?measuring#take-back";
/// The form's answer waits this long; then the page says that it is still measuring.
const SHOWN_AT_ONCE: Duration = Duration::from_secs(2);
/// One browser measures at a time, since most of what is taken back is everybody's.
const LONGEST_QUEUE: Duration = Duration::from_secs(10);
/// `POST /take-back`. The work is a task of its own: it is finished, and undone where it must be, also if the browser goes away.
pub(super) async fn take_back(State(app): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Response, Expired> {
    let form = Params::parse(&body).map_err(|_| Expired)?;
    let browser = app.posted(&headers, &form)?;
    let named = |name: &str| Deed::ALL.into_iter().find(|deed| deed.name() == name);
    let Some(deed) = form.get("deed").and_then(named) else { return Ok(see_other("/")) };
    let now = app.now();
    if !app.sessions.with(&browser, |session| session.experiments.begin(now)) {
        return Ok(see_other(TAKE_BACK));
    }
    let finished = timeout(SHOWN_AT_ONCE, tokio::spawn(perform(app, browser, deed))).await.is_ok();
    Ok(see_other(if finished { TAKE_BACK } else { MEASURING }))
}

/// Measures, and keeps the outcome in the session.
async fn perform(app: Shared, browser: Browser, deed: Deed) {
    let outcome = match timeout(LONGEST_QUEUE, app.one_experiment.lock()).await {
        Ok(_alone) => experiment(&app, &browser, deed).await,
        Err(_) => Err("Another browser is measuring. Try again in a moment.".to_owned()),
    };
    let now = app.now();
    let (went, title, detail) = match &outcome {
        Ok((_, finding)) => (finding.went(), finding.headline(), finding.counts()),
        Err(reason) => (Went::Refused, format!("{}: not measured", deed.title()), reason.clone()),
    };
    app.sessions.with(&browser, |session| {
        session.note(Event::new(now, went, title, detail));
        if let Ok((access_token, _)) = &outcome
            && let Some(tokens) = session.tokens.as_mut().filter(|tokens| tokens.access_token == *access_token)
        {
            tokens.access_revoked_at.get_or_insert(now);
            if deed.ends_sign_in() {
                tokens.refresh_ended_at.get_or_insert(now);
            }
        }
        session.experiments.end(outcome.map(|(_, finding)| finding));
    });
}

/// The access token that was taken back, and what was measured. The error is for the person.
async fn experiment(app: &Shared, browser: &Browser, deed: Deed) -> Result<(String, Finding), String> {
    let tokens = accepted_tokens(app, browser).await?;
    let mut calls = TightLoop::start(app, &tokens.access_token);
    calls.all_accepted().await.map_err(|answer| format!("Nothing was taken back: the API answered {answer} from the start."))?;
    let done = perform_deed(app, deed, &tokens).await;
    if done.is_ok() {
        calls.all_refused().await;
    }
    if deed == Deed::DisableClient {
        app.operator.enable_client(&app.client_id).await.map_err(|error| format!("The client is still disabled: {error:#}."))?;
    }
    let logs = calls.finish().await;
    let measured = measure(&logs, done?);
    Ok((tokens.access_token, Finding { deed, measured }))
}

/// Tokens that the API accepts: those of the session, or new ones if the access token was taken back before.
async fn accepted_tokens(app: &RelyingParty, browser: &Browser) -> Result<Tokens, String> {
    const OVER: &str = "This app has no token that the API accepts. Sign in again first.";
    let tokens = app.sessions.with(browser, |session| session.tokens.clone()).ok_or(OVER)?;
    let url = format!("{}/notes", app.api);
    let answer = app.provider.http.get(&url, Credentials::Bearer(&tokens.access_token)).await;
    match answer.map_err(|error| format!("{error}."))?.status {
        StatusCode::OK => return Ok(tokens),
        StatusCode::UNAUTHORIZED => {}
        StatusCode::FORBIDDEN => {
            return Err("The API does not let this token read notes. Sign out, tick the box, and sign in again.".to_owned());
        }
        status => return Err(format!("The API answers {status}. Try again in a moment.")),
    }
    let (renewed, event) = actions::refreshed(app, tokens).await;
    let renewed = renewed.ok_or_else(|| event.detail.clone())?;
    app.sessions.with(browser, |session| {
        if let Some(tokens) = &mut session.tokens {
            *tokens = renewed.clone();
        }
        session.note(event);
    });
    if renewed.refresh_ended_at.is_some() { Err(OVER.to_owned()) } else { Ok(renewed) }
}

/// Does it. Gives the moment when the provider had answered.
async fn perform_deed(app: &RelyingParty, deed: Deed, tokens: &Tokens) -> Result<Instant, String> {
    let text = |claims: &Map<String, Value>, name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let user_id = text(&tokens.id_claims, "sub");
    let done = match deed {
        Deed::RevokeToken => actions::revoke(app, &tokens.access_token, "access_token").await.map_err(anyhow::Error::msg),
        Deed::ChangePassword => app.operator.change_password(&user_id).await,
        Deed::SignOutEverywhere => app.operator.sign_out_everywhere(&user_id).await,
        Deed::DisableClient => app.operator.disable_client(&app.client_id).await,
        Deed::RevokeKey => app.operator.revoke_key(&text(&read_header(&tokens.access_token), "kid")).await,
    };
    let answered = monotonic_now();
    done.map(|()| answered).map_err(|error| format!("Tessera did not do it: {error:#}"))
}
