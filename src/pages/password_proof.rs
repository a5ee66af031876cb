//! A person proves who they are with a password: at sign-in, when asked again, and before they change it. Limits come first; an
//! unknown account costs and says the same as a known one (SECURITY lines 24 and 25).

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::Map;
use zeroize::Zeroizing;

use super::views::Problem;
use super::visit::Visit;
use crate::app::App;
use crate::error::PageError;
use crate::http::RetryAfter;
use crate::http::rate_limit::Key;
use crate::lifecycle::{detail, record};
use crate::model::{Actor, AuditKind, User};
use crate::password::{PasswordError, Verdict};
use crate::store::{StoreError, credentials, users};

/// Stands in audit events for an account that does not exist. What was typed is not kept: it may be a password in the wrong field.
const UNKNOWN: &str = "user:unknown";

/// Why a form was not accepted. Its page is shown again, with the problem.
pub struct Refusal {
    status: StatusCode,
    /// Seconds.
    retry_after: Option<u64>,
    pub problem: Problem,
}

impl Refusal {
    /// Something about what was entered.
    pub fn of(problem: Problem) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, retry_after: None, problem }
    }

    fn wait(RetryAfter(wait): RetryAfter) -> Self {
        let seconds = RetryAfter(wait).seconds();
        Self { status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some(seconds), problem: Problem::too_many_attempts(seconds) }
    }

    fn busy(retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs().max(1);
        Self { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: Some(seconds), problem: Problem::busy() }
    }

    /// What hashing or verifying could not do.
    ///
    /// # Errors
    /// A page, if it is our fault.
    pub fn of_password(error: PasswordError) -> Result<Self, PageError> {
        match error {
            PasswordError::Busy { retry_after } => Ok(Self::busy(retry_after)),
            error => Err(PageError::internal(error)),
        }
    }

    /// Makes `page` the answer to the refused form.
    pub fn answer(&self, mut page: Response) -> Response {
        // A page that could not be drawn is an error of its own.
        if page.status().is_success() {
            *page.status_mut() = self.status;
        }
        if let Some(seconds) = self.retry_after {
            page.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        page
    }
}

/// The person of the account with this e-mail address, if `password` is theirs; `wrong` is said otherwise. Writes the audit events
/// of anything but success, which is the caller's to report.
///
/// # Errors
/// A page, if it is our fault.
pub async fn prove(
    app: &Arc<App>,
    visit: &Visit,
    email: &str,
    password: &str,
    wrong: Problem,
) -> Result<Result<User, Refusal>, PageError> {
    // First of all: in a storm of sign-ins most are refused, and refusing them must not keep the database busy.
    if let Err(error) = app.passwords.check_queue() {
        return Refusal::of_password(error).map(Err);
    }
    let (limits, window) = (&app.config.limits, window(app));
    let (address, account) = (Key::address(visit.ip), Key::account(email));
    if let Err(wait) = app.limits.begin(address, limits.sign_in_per_address, window, app.now()).await {
        app.metrics.rate_limited_by_address.increment(1);
        return Ok(Err(limited(app, visit, AuditKind::SignInLimited, "address", address, wait).await?));
    }
    if let Err(wait) = app.limits.begin(account, limits.sign_in_per_account, window, app.now()).await {
        app.metrics.rate_limited_by_account.increment(1);
        app.limits.give_back(address).await;
        return Ok(Err(limited(app, visit, AuditKind::SignInLimited, "account", account, wait).await?));
    }
    let (user, hash) = account_of(app, email).await?;
    let verdict = match verify(app, password, hash.as_deref()).await {
        Ok(verdict) => verdict,
        Err(error) => {
            app.metrics.sign_in_overloaded.increment(1);
            app.limits.give_back(account).await;
            app.limits.give_back(address).await;
            return Refusal::of_password(error).map(Err);
        }
    };
    match user {
        Some(user) if verdict != Verdict::Wrong && user.disabled_at.is_none() => {
            app.metrics.sign_in_succeeded.increment(1);
            app.limits.succeeded(account).await;
            app.limits.give_back(address).await;
            if let (Verdict::CorrectButOutdated, Some(old)) = (verdict, hash) {
                renew_hash(app, visit.actor.clone(), user.id.clone(), old, password);
            }
            Ok(Ok(user))
        }
        user => {
            app.metrics.sign_in_refused.increment(1);
            let subject = user.map_or_else(|| UNKNOWN.to_owned(), |user| format!("user:{}", user.id));
            audit(app, &visit.actor, AuditKind::SignInFailed, subject, Map::new()).await?;
            Ok(Err(Refusal::of(wrong)))
        }
    }
}

fn window(app: &App) -> Duration {
    Duration::from_secs(app.config.limits.window.into())
}

/// The account and its password hash. The same look-ups whether there is one or not.
async fn account_of(app: &App, email: &str) -> Result<(Option<User>, Option<String>), StoreError> {
    let mut conn = app.store.read().await?;
    let user = users::find_by_email(&mut conn, email).await?;
    let hash = credentials::password_hash(&mut conn, user.as_ref().map_or("", |user| &user.id)).await?;
    Ok((user, hash))
}

/// As `PasswordHasher::verify`, but what is too long is wrong, and so is anything against a hash that cannot be used: as slowly.
async fn verify(app: &App, password: &str, hash: Option<&str>) -> Result<Verdict, PasswordError> {
    match app.passwords.verify(password, hash).await {
        Err(PasswordError::TooLong) => Ok(Verdict::Wrong),
        Err(PasswordError::StoredHash(reason)) => {
            tracing::error!(reason, "a stored password hash cannot be used");
            app.passwords.verify(password, None).await
        }
        verdict => verdict,
    }
}

/// The answer to an attempt too many. One audit event for each window, since an attacker decides how many attempts there are.
pub async fn limited(
    app: &App,
    visit: &Visit,
    kind: AuditKind,
    by: &str,
    key: Key,
    wait: RetryAfter,
) -> Result<Refusal, PageError> {
    tracing::warn!(?kind, by, ip = visit.actor.ip, "attempts are limited");
    let reported = Key::new("limit reported", &key.to_string());
    if app.limits.begin(reported, 1, window(app), app.now()).await.is_ok() {
        audit(app, &visit.actor, kind, format!("{by}:{key}"), detail("by", by)).await?;
    }
    Ok(Refusal::wait(wait))
}

async fn audit(
    app: &App,
    actor: &Actor,
    kind: AuditKind,
    subject: String,
    detail: Map<String, serde_json::Value>,
) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    record(&mut tx, actor, kind, subject, detail, app.now()).await?;
    tx.commit().await
}

/// Hashes the password with the parameters in force, beside the request. If that fails, the next sign-in tries again.
fn renew_hash(app: &Arc<App>, actor: Actor, user_id: String, old: String, password: &str) {
    let (app, password) = (Arc::clone(app), Zeroizing::new(password.to_owned()));
    tokio::spawn(async move {
        let renewed = async {
            let new = app.passwords.hash(&password).await?;
            let mut tx = app.store.begin().await?;
            if credentials::replace_password_hash(&mut tx, &user_id, &old, &new, app.now()).await? {
                record(&mut tx, &actor, AuditKind::PasswordRehashed, format!("user:{user_id}"), Map::new(), app.now()).await?;
            }
            tx.commit().await?;
            anyhow::Ok(())
        };
        if let Err(error) = renewed.await {
            tracing::warn!(%error, user = user_id, "a password hash could not be renewed");
        }
    });
}
