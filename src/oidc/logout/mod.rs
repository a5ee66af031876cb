//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): what a request proves, and what follows from it. The pages
//! draw the result. How the other apps of the session are told is in `backchannel` and `frontchannel`.

pub mod backchannel;
mod frontchannel;
mod resting;
mod token;

use std::sync::Arc;

use axum::http::StatusCode;

use crate::app::App;
use crate::error::PageError;
use crate::http::params::Params;
use crate::lifecycle;
use crate::model::{Actor, AuditKind, Client, Session};
use crate::oidc::authorize::with_query;
use crate::oidc::mint::{self, IdTokenHint};
use crate::oidc::session::{SignedIn, has_run_out};
use crate::store::{StoreError, sessions};

pub use frontchannel::Frame;
pub use token::LOGOUT_TOKEN_TYPE;

/// A logout request whose parameters are checked.
pub struct LogoutRequest {
    /// Who asks, if the request says so credibly.
    pub client: Option<Arc<Client>>,
    hint: Option<IdTokenHint>,
    /// A registered `post_logout_redirect_uri` with `state` added. It was validated: nothing else is redirected to.
    return_to: Option<String>,
}

/// What the person sees next.
pub enum LogoutOutcome {
    /// Nothing proves that the person wants this: ask (RP-Initiated Logout §2).
    Confirm,
    Done(Done),
}

/// The person is signed out here. What is left to do in their browser.
pub struct Done {
    /// To be loaded before the browser goes anywhere.
    pub frames: Vec<Frame>,
    pub next: Next,
}

/// Where to, after sign-out. The addresses were registered by the client.
pub enum Next {
    /// A page that says that it is done.
    Nowhere,
    /// Back to the app.
    Return(String),
    /// The same page, with a link: nothing shows that the app may send this browser there (§3).
    Offer(String),
}

impl LogoutRequest {
    /// Checks a request.
    ///
    /// # Errors
    /// A page, never a redirect, if the request names a client, hint or URI that is not right (RP-Initiated Logout §4).
    pub async fn check(app: &App, params: &Params<'_>) -> Result<Self, PageError> {
        let hint = match params.get("id_token_hint").map(|hint| mint::read_id_token(app, hint)) {
            Some(Err(reason)) => {
                return Err(bad_request("The id_token_hint is not an ID token of this provider.".to_owned()).because(reason));
            }
            Some(Ok(hint)) => Some(hint),
            None => None,
        };
        let named = params.get("client_id");
        if let (Some(hint), Some(named)) = (&hint, named)
            && hint.client_id != named
        {
            return Err(bad_request("The client_id is not the one of the id_token_hint.".to_owned()));
        }
        let client = match hint.as_ref().map(|hint| hint.client_id.as_str()).or(named) {
            Some(id) => app.clients.find(&app.store, id, app.now()).await?,
            None => None,
        };
        let return_to = match params.get("post_logout_redirect_uri") {
            Some(uri) => Some(check_return(client.as_deref(), uri, params.get("state"))?),
            None => None,
        };
        Ok(Self { client, hint, return_to })
    }

    /// Signs out at once if the request proves that it comes from an app of this very session; asks otherwise. Without a
    /// session there is nothing to sign out of, but its other apps may not know yet that it has run out.
    pub async fn run(self, app: &App, actor: &Actor, signed_in: Option<&SignedIn>) -> Result<LogoutOutcome, PageError> {
        let Some(signed_in) = signed_in else {
            let known = known_session(app, self.hint.as_ref()).await?;
            let frames = match &known {
                Some(session) if session.ended_at.is_none() && has_run_out(app, session) => end(app, actor, session).await?,
                _ => Vec::new(),
            };
            let next = match self.return_to {
                None => Next::Nowhere,
                Some(address) if known.is_some() => Next::Return(address),
                Some(address) => Next::Offer(address),
            };
            return Ok(LogoutOutcome::Done(Done { frames, next }));
        };
        match self.hint.as_ref().is_some_and(|hint| hint.sid.as_deref() == Some(&signed_in.session.id)) {
            true => Ok(LogoutOutcome::Done(self.sign_out(app, actor, Some(signed_in)).await?)),
            false => Ok(LogoutOutcome::Confirm),
        }
    }

    /// Signs out: after the person's "yes", or because the request proved enough.
    pub async fn sign_out(self, app: &App, actor: &Actor, signed_in: Option<&SignedIn>) -> Result<Done, PageError> {
        let frames = match signed_in {
            Some(signed_in) => end_here(app, actor, signed_in).await?,
            None => Vec::new(),
        };
        Ok(Done { frames, next: self.return_to.map_or(Next::Nowhere, Next::Return) })
    }

    /// Where the browser goes afterwards, for the page that asks to name.
    pub fn return_to(&self) -> Option<&str> {
        self.return_to.as_deref()
    }
}

/// Ends the session of this browser, and gives the frames that its page must load for the apps of the session.
pub async fn end_here(app: &App, actor: &Actor, signed_in: &SignedIn) -> Result<Vec<Frame>, StoreError> {
    end(app, &actor.named(format!("user:{}", signed_in.user.id)), &signed_in.session).await
}

async fn end(app: &App, actor: &Actor, session: &Session) -> Result<Vec<Frame>, StoreError> {
    let frames = frontchannel::frames(app, &session.id).await?;
    lifecycle::session::end(app, actor, AuditKind::SignedOut, &session.id).await?;
    Ok(frames)
}

/// The session that the hint is from, ended or not, while it is still known: a hint never expires, and one of long ago may be anybody's (§2).
async fn known_session(app: &App, hint: Option<&IdTokenHint>) -> Result<Option<Session>, StoreError> {
    let Some((hint, sid)) = hint.and_then(|hint| Some((hint, hint.sid.as_deref()?))) else { return Ok(None) };
    let mut conn = app.store.read().await?;
    let noted = sessions::clients_of(&mut conn, sid).await?;
    match noted.iter().any(|noted| noted.client_id == hint.client_id && noted.sub == hint.sub) {
        true => sessions::find(&mut conn, sid).await,
        false => Ok(None),
    }
}

/// The URI must be one that the client registered, character by character.
fn check_return(client: Option<&Client>, uri: &str, state: Option<&str>) -> Result<String, PageError> {
    let client = client.ok_or_else(|| {
        let technical = "A post_logout_redirect_uri needs an id_token_hint or a client_id of a client that is known here.";
        bad_request(technical.to_owned())
    })?;
    if client.disabled_at.is_some() {
        return Err(bad_request("The client is switched off: no browser is sent to its post_logout_redirect_uri.".to_owned()));
    }
    if !client.metadata.post_logout_redirect_uris.iter().any(|registered| registered == uri) {
        return Err(bad_request("The post_logout_redirect_uri is not one that the client registered.".to_owned()));
    }
    Ok(match state {
        Some(state) => with_query(uri, &[("state", state.to_owned())]),
        None => uri.to_owned(),
    })
}

fn bad_request(technical: String) -> PageError {
    PageError::new(
        StatusCode::BAD_REQUEST,
        "This sign-out link does not work",
        "You are still signed in. The app that sent you here made a request that cannot be followed safely. You can sign out on your account page.",
    )
    .with_technical(technical)
}
