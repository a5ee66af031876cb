//! What happens at the provider without the app's doing: a person uses their account page, an operator a command. The demo's app may
//! ask for it, so that one button shows cause and effect; no real app can.

use std::sync::Arc;

use anyhow::Context;

use crate::app::App;
use crate::lifecycle;
use crate::model::Actor;
use crate::store::{clients, credentials, users};

/// The demo's provider, from the inside.
pub struct Operator(Arc<App>);

impl Operator {
    pub fn new(app: Arc<App>) -> Self {
        Self(app)
    }

    /// The person changes their password, to the same one, so that they can go on with the one that they know.
    ///
    /// # Errors
    /// If there is no such account, or the database does not answer.
    pub async fn change_password(&self, user_id: &str) -> anyhow::Result<()> {
        let mut conn = self.0.store.read().await?;
        let user = users::find(&mut conn, user_id).await?.context("the account is gone")?;
        let hash = credentials::password_hash(&mut conn, user_id).await?.context("the account has no password")?;
        drop(conn);
        let changed = lifecycle::user::change_own_password(&self.0, &person(user_id), &user, &hash).await?;
        changed.map(|_| ()).context("the account has just changed")
    }

    /// The person presses "Sign out everywhere".
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn sign_out_everywhere(&self, user_id: &str) -> anyhow::Result<()> {
        Ok(lifecycle::user::sign_out_everywhere(&self.0, &person(user_id), user_id).await?)
    }

    /// `tessera client disable`
    ///
    /// # Errors
    /// If there is no such client, or the database does not answer.
    pub async fn disable_client(&self, client_id: &str) -> anyhow::Result<()> {
        let found = lifecycle::client::disable(&self.0, &Actor::operator(), client_id).await?;
        found.then_some(()).context("there is no such client")
    }

    /// `tessera client enable`, if it is disabled.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn enable_client(&self, client_id: &str) -> anyhow::Result<()> {
        let client = clients::find(&mut self.0.store.read().await?, client_id).await?;
        if client.is_some_and(|client| client.disabled_at.is_some()) {
            lifecycle::client::enable(&self.0, &Actor::operator(), client_id).await?;
        }
        Ok(())
    }

    /// `tessera key revoke`
    ///
    /// # Errors
    /// If there is no such key, it was revoked before, or the database does not answer.
    pub async fn revoke_key(&self, kid: &str) -> anyhow::Result<()> {
        let revoked = lifecycle::key::revoke(&self.0, &Actor::operator(), kid).await?;
        revoked.then_some(()).context("there is no such key, or it was revoked before")
    }
}

fn person(user_id: &str) -> Actor {
    Actor::default().named(format!("user:{user_id}"))
}
