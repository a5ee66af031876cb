//! The answer to an authorization request that nothing stands against any more (RFC 6749 §4.1.2, OpenID Connect Core §3.2.2.5, §3.3.2.5).

use std::time::Duration;

use axum::response::Response;

use super::ReturnAddress;
use super::front_channel::{self, Authorized, FrontChannel};
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{OAuthError, PageError};
use crate::lifecycle;
use crate::model::{AuthorizationCode, AuthorizationRequest, Client, Json, ScopeSet, Secret};
use crate::oidc::session::SignedIn;
use crate::store::{authorization, sessions};

/// A request, and whose answer it gets where.
pub(super) struct Answer<'a> {
    /// The name under which the request waited, if it did.
    pub stored_as: Option<&'a Secret>,
    pub request: &'a AuthorizationRequest,
    pub client: &'a Client,
    pub address: &'a ReturnAddress,
    /// When this HTTP request came, before anything was read.
    pub received_at: Timestamp,
}

impl Answer<'_> {
    /// Issues what the response type asks for, for `scope`, and answers the request with it.
    pub async fn issue(&self, app: &App, signed_in: &SignedIn, scope: ScopeSet) -> Result<Response, PageError> {
        let now = app.now();
        let session = &signed_in.session;
        let parameters = &self.request.parameters;
        let code = parameters.response_type.code.then(Secret::random);
        let mut front = None;
        if parameters.response_type.is_legacy() {
            let Self { client, received_at, .. } = *self;
            let authorized = Authorized { client, parameters, signed_in, scope: &scope, code: code.as_ref(), received_at };
            match FrontChannel::mint(app, &authorized).await {
                Ok(minted) => front = Some(minted),
                Err(error) => return self.refuse(app, &error).await,
            }
        }
        let mut tx = app.store.begin().await?;
        if let Some(id) = self.stored_as
            && !authorization::take_request(&mut tx, &id.hash()).await?
        {
            return Err(PageError::expired());
        }
        if let Some(front) = &front
            && !front.store(&mut tx, &session.id).await?
        {
            drop(tx);
            return self.refuse(app, &front_channel::gone("the session ended at this moment")).await;
        }
        if let Some(code) = &code {
            authorization::insert_code(&mut tx, &self.code_row(app, code, signed_in, scope, now)).await?;
        }
        sessions::touch(&mut tx, &session.id, now).await?;
        tx.commit().await?;
        if front.is_some() {
            lifecycle::client::used(app, self.client).await;
        }
        Ok(front_channel::send(self.address, code.as_ref(), front))
    }

    /// Answers with an error. A request that waited is answered by it, once.
    pub async fn refuse(&self, app: &App, error: &OAuthError) -> Result<Response, PageError> {
        if let Some(id) = self.stored_as {
            let mut tx = app.store.begin().await?;
            if !authorization::take_request(&mut tx, &id.hash()).await? {
                return Err(PageError::expired());
            }
            tx.commit().await?;
        }
        Ok(self.address.send_error(error))
    }

    fn code_row(&self, app: &App, code: &Secret, signed_in: &SignedIn, scope: ScopeSet, now: Timestamp) -> AuthorizationCode {
        let SignedIn { session, user } = signed_in;
        AuthorizationCode {
            code_hash: code.hash(),
            client_id: self.request.client_id.clone(),
            user_id: user.id.clone(),
            session_id: session.id.clone(),
            parameters: self.request.parameters.clone(),
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
}
