//! The person for whom tokens are issued, as they are now: a grant dies with the account, a new password and the session.

use crate::app::App;
use crate::clock::Timestamp;
use crate::error::OAuthError;
use crate::model::{Client, User};
use crate::oidc::mint;
use crate::oidc::subject::{self, KeptSubject};
use crate::store::sessions;

/// Reads the account, and gives what the client knows it by and the moment that tokens are issued at: `received_at`, which was taken *before* the client and the
/// account were read. Whatever cuts tokens off after that reading lies later than `iat`, so the token falls under it. If the last cut-off, of
/// the person or of the client, is still in the future (a second away, for a client a few), waits for it and reads again.
///
/// # Errors
/// `invalid_grant`, if the account is gone, disabled, or had its tokens taken back at `authorized_at` or later.
pub(in crate::oidc) async fn load(
    app: &App,
    client: &Client,
    user_id: &str,
    authorized_at: Timestamp,
    received_at: Timestamp,
) -> Result<(User, KeptSubject, Timestamp), OAuthError> {
    let mut issued_at = received_at;
    loop {
        let (user, sub) = subject::keep(app, client, user_id).await?;
        if authorized_at <= user.password_changed_at {
            return Err(OAuthError::invalid_grant("the password was changed, or all sessions ended, after the authorization"));
        }
        let cut_off = user.cut_off().max(client.tokens_not_before.unwrap_or_default());
        if cut_off <= issued_at.seconds() {
            return Ok((user, sub, issued_at));
        }
        mint::wait_for_cut_off(app, cut_off).await?;
        issued_at = app.now();
    }
}

/// Checks that the browser session is still there.
///
/// # Errors
/// `invalid_grant`
pub(in crate::oidc) async fn check_session(app: &App, session_id: &str) -> Result<(), OAuthError> {
    match sessions::find(&mut app.store.read().await?, session_id).await? {
        Some(session) if session.ended_at.is_none() && session.expires_at > app.now() => Ok(()),
        _ => Err(OAuthError::invalid_grant("the session has ended")),
    }
}
