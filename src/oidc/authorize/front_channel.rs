//! Tokens straight from the authorization endpoint (OpenID Connect Core §3.2.2.5, §3.3.2.5), for clients that cannot do without. They are
//! like those of the token endpoint: the same claims, cut-offs and revocation. Never a refresh token.

use axum::response::Response;

use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::model::authorization::AuthorizationParameters;
use crate::model::client::GrantType;
use crate::model::{AccessTokenRecord, Client, Json, ScopeSet, Secret, StatusListEntry};
use crate::oidc::mint::{self, AccessToken, IdToken, Subject};
use crate::oidc::session::SignedIn;
use crate::oidc::token::{new_jti, subject};
use crate::oidc::{authentication, claims, status_list};
use crate::store::{StoreError, Tx, access_tokens, sessions, status_lists};

use super::ReturnAddress;

/// What goes through the browser beside a code, and what must be stored before it does.
pub(super) struct FrontChannel {
    /// The members of the response, but `code` and what every response has.
    pub fields: Vec<(&'static str, String)>,
    issued_at: Timestamp,
    client_id: String,
    /// What the client knows the person by.
    sub: String,
    access_token: Option<AccessTokenRecord>,
    status_entry: Option<StatusListEntry>,
}

/// What the answer is about.
pub(super) struct Authorized<'a> {
    pub client: &'a Client,
    pub parameters: &'a AuthorizationParameters,
    pub signed_in: &'a SignedIn,
    pub scope: &'a ScopeSet,
    /// The code that is issued beside the tokens.
    pub code: Option<&'a Secret>,
    /// Taken before the client and the account were read: see `subject::load`.
    pub received_at: Timestamp,
}

impl FrontChannel {
    /// Mints what the response type asks for beside a code.
    ///
    /// # Errors
    /// `login_required` if the session or the account went away meanwhile; `temporarily_unavailable`.
    pub async fn mint(app: &App, authorized: &Authorized<'_>) -> Result<Self, OAuthError> {
        let Authorized { client, parameters, scope, code, received_at, .. } = *authorized;
        let session = &authorized.signed_in.session;
        // As at the token endpoint: if they cannot be read, those that we have must do.
        app.confirm_keys().await;
        let loaded = subject::load(app, client, &session.user_id, session.created_at, received_at).await;
        let (user, sub, issued_at) = loaded.map_err(|error| match error.code {
            ErrorCode::InvalidGrant => gone(error.detail.unwrap_or_default()),
            _ => error,
        })?;
        let about = || Subject {
            user: &user,
            sub: &sub,
            sid: &session.id,
            auth_time: session.auth_time,
            acr: authentication::acr_of(&session.amr),
        };
        let mut front = Self {
            fields: Vec::new(),
            issued_at,
            client_id: client.id.clone(),
            sub: sub.as_str().to_owned(),
            access_token: None,
            status_entry: None,
        };
        let mut access_token = None;
        if parameters.response_type.token {
            let resource = mint::audiences(client, &parameters.resource)?;
            let expires_at = mint::access_token_expiry(app, client, issued_at);
            let jti = new_jti();
            let status = status_list::reserve(app, expires_at).await?;
            let subject = Some(about());
            let token = AccessToken {
                client,
                subject,
                scope,
                resource: &resource,
                jti: &jti,
                issued_at,
                expires_at,
                act: None,
                status: status.as_ref(),
            };
            let minted = mint::access_token(app, &token)?;
            front.fields.extend([
                ("access_token", minted.token.clone()),
                ("token_type", "Bearer".to_owned()),
                ("expires_in", (expires_at.seconds() - issued_at.seconds()).to_string()),
                ("scope", scope.to_string()),
            ]);
            front.status_entry = minted.status_entry;
            front.access_token = Some(AccessTokenRecord {
                jti,
                user_id: user.id.clone(),
                client_id: client.id.clone(),
                code_hash: code.map(Secret::hash),
                claims: Json(parameters.claims.for_userinfo()),
                expires_at,
            });
            access_token = Some(minted.token);
            app.metrics.token_issued(GrantType::Implicit, client.metadata.access_token_signed_response_alg);
        }
        if parameters.response_type.id_token {
            // With a code or an access token, userinfo says who it is.
            let alone = code.is_none() && access_token.is_none();
            let id_token = IdToken {
                client,
                subject: about(),
                amr: &session.amr,
                session_id: &session.id,
                nonce: parameters.nonce.as_deref(),
                access_token: access_token.as_deref(),
                code: code.map(Secret::expose),
                claims: claims::for_id_token(&app.config, &user, alone.then_some(scope), &parameters.claims),
                issued_at,
            };
            front.fields.push(("id_token", mint::id_token(app, &id_token).await?));
        }
        Ok(front)
    }

    /// Stores what must be known of the tokens before they are handed out. `false` if the session ended at this moment: then nothing may
    /// be handed out.
    pub async fn store(&self, tx: &mut Tx, session_id: &str) -> Result<bool, StoreError> {
        if !sessions::hold(tx, session_id, self.issued_at).await? {
            return Ok(false);
        }
        sessions::note_client(tx, session_id, &self.client_id, &self.sub, self.issued_at).await?;
        if let Some(entry) = &self.status_entry {
            status_lists::insert_entry(tx, entry).await?;
        }
        if let Some(token) = &self.access_token {
            access_tokens::insert(tx, token).await?;
        }
        Ok(true)
    }
}

/// The person is not signed in any more.
pub(super) fn gone(detail: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::LoginRequired, "The person was signed out while the request was answered.").because(detail)
}

/// The answer: what went through the browser, and the code.
pub(super) fn send(address: &ReturnAddress, code: Option<&Secret>, front: Option<FrontChannel>) -> Response {
    let mut fields = front.map(|front| front.fields).unwrap_or_default();
    fields.extend(code.map(|code| ("code", code.expose().to_owned())));
    address.send_success(fields)
}
