//! By what `sub` a client knows a person (OpenID Connect Core §8): everybody's, or one that only clients of the same sector share.
//!
//! A pairwise subject is a keyed hash of sector and person, so that it is always the same and tells nothing. It is also kept in a table,
//! before any token carries it: what revokes a person's tokens names every `sub` that they may carry (DESIGN §5).

use crate::app::App;
use crate::error::OAuthError;
use crate::model::client::SubjectType;
use crate::model::{Client, User, sector::sector};
use crate::store::{Conn, StoreError, pairwise_subjects, users};

/// A `sub` that tokens may carry: it can be traced to its person, and taken back. Only `keep` makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSubject(String);

impl KeptSubject {
    /// The value of `sub`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the client knows, or would know, this person by.
///
/// # Errors
/// `server_error`, if the client was registered without a sector that its pairwise subjects could be for.
pub fn for_client(app: &App, client: &Client, user_id: &str) -> Result<String, OAuthError> {
    Ok(match sector_of(client)? {
        None => user_id.to_owned(),
        Some(sector) => app.secrets.pairwise_subject(&sector, user_id),
    })
}

/// The account that a `sub` of ours names; `sub` itself if it is not pairwise, whether or not there is such an account.
pub async fn user_of(conn: &mut Conn, sub: &str) -> Result<String, StoreError> {
    Ok(pairwise_subjects::find_user(conn, sub).await?.unwrap_or_else(|| sub.to_owned()))
}

/// The account as it is now, and what its tokens for this client say.
///
/// A subject that is new is recorded in a transaction that holds the account as it was seen: a cut-off that comes at the same time waits and
/// then names it, or is seen here, and the account is read again. A subject that is known was read *before* the account, since a cut-off that
/// does not name it was committed before it was recorded, and so shows in the account.
///
/// # Errors
/// `invalid_grant`, if the account is gone or disabled; and as `for_client`.
pub(super) async fn keep(app: &App, client: &Client, user_id: &str) -> Result<(User, KeptSubject), OAuthError> {
    let Some(sector) = sector_of(client)? else {
        let user = find_enabled(&mut app.store.read().await?, user_id).await?;
        return Ok((user, KeptSubject(user_id.to_owned())));
    };
    let sub = app.secrets.pairwise_subject(&sector, user_id);
    loop {
        let mut conn = app.store.read().await?;
        let known = pairwise_subjects::find_user(&mut conn, &sub).await?.is_some();
        let user = find_enabled(&mut conn, user_id).await?;
        drop(conn);
        if known || record(app, &sub, &user, &sector).await? {
            return Ok((user, KeptSubject(sub)));
        }
    }
}

async fn find_enabled(conn: &mut Conn, user_id: &str) -> Result<User, OAuthError> {
    match users::find(conn, user_id).await? {
        None => Err(OAuthError::invalid_grant("the account is gone")),
        Some(user) if user.disabled_at.is_some() => Err(OAuthError::invalid_grant("the account is disabled")),
        Some(user) => Ok(user),
    }
}

/// `false` if the account was cut off, disabled or deleted since it was seen.
async fn record(app: &App, sub: &str, seen: &User, sector: &str) -> Result<bool, StoreError> {
    let mut tx = app.store.begin().await?;
    if !users::hold(&mut tx, seen).await? {
        return Ok(false);
    }
    pairwise_subjects::insert(&mut tx, sub, &seen.id, sector, app.now()).await?;
    tx.commit().await?;
    Ok(true)
}

/// For whom the client's subjects are; none if they are everybody's.
fn sector_of(client: &Client) -> Result<Option<String>, OAuthError> {
    match client.metadata.subject_type {
        SubjectType::Public => Ok(None),
        SubjectType::Pairwise => match sector(&client.metadata) {
            Some(sector) => Ok(Some(sector)),
            None => Err(OAuthError::internal(format!(
                "the client {} has pairwise subjects, and neither a sector_identifier_uri nor one host for all redirect_uris",
                client.id
            ))),
        },
    }
}
