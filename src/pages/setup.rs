//! `/setup`: the first administrator. The address holds a one-time secret that only the log of the server's start has shown.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::form::Form;
use super::html;
use super::password_proof::Refusal;
use super::views::{Problem, SetUp, SetUpDone, Site};
use super::visit::{Visit, session_cookie, with_cookie};
use crate::app::App;
use crate::error::PageError;
use crate::lifecycle;
use crate::model::{Secret, User};
use crate::password::check_policy;
use crate::store::{StoreError, installation, users};

/// Under this name the database keeps the hash of the secret.
const NAME: &str = "setup_token_hash";

/// The role that lets its holder look after the installation.
const ADMIN: &str = "admin";

/// The address at which the first administrator is made, for the operator to open; none if there are accounts already. Each call
/// makes a new one, and the old one stops working.
///
/// # Errors
/// If the database does not answer.
pub async fn offer(app: &App) -> anyhow::Result<Option<String>> {
    let mut tx = app.store.begin().await?;
    if users::any(&mut tx).await? {
        return Ok(None);
    }
    let token = Secret::random();
    installation::put(&mut tx, NAME, &kept(&token)).await?;
    tx.commit().await?;
    Ok(Some(app.issuer.at(&format!("/setup?token={}", token.expose()))))
}

/// `GET /setup?token=…`
pub async fn get(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let params = visit.params()?;
    let token = params.get("token").unwrap_or_default();
    check_token(&app, token).await?;
    Ok(visit.page(&app, &page(&app, &visit, token, "", "", None)))
}

/// `POST /setup`. Of any number of attempts at once, one makes an account: it takes the secret out of the database.
pub async fn post(State(app): State<Arc<App>>, mut visit: Visit, body: Bytes) -> Result<Response, PageError> {
    let form = Form::check(&app, &visit, &body)?;
    let (token, email, name) = (form.text("token"), form.text("email").trim(), form.text("name").trim());
    check_token(&app, token).await?;
    let hash = match checked_hash(&app, email, name, &form).await? {
        Ok(hash) => hash,
        Err(refusal) => {
            let view = page(&app, &visit, token, email, name, Some(refusal.problem.clone()));
            return Ok(refusal.answer(visit.page(&app, &view)));
        }
    };
    let mut user = lifecycle::user::new_user(email, app.now());
    user.email_verified = true;
    user.profile.name = Some(name.to_owned());
    user.roles.push(ADMIN.to_owned());
    let mut tx = app.store.begin().await?;
    if !installation::take(&mut tx, NAME, &kept(&Secret::new(token))).await? || users::any(&mut tx).await? {
        return Err(used_up());
    }
    lifecycle::user::insert(&mut tx, &visit.actor, &user, Some(&hash), app.now()).await?;
    tx.commit().await?;
    let previous = visit.signed_in.take().map(|signed_in| signed_in.session);
    let started = lifecycle::session::start(&app, &visit.actor, &user.id, &["pwd"], &visit.user_agent, previous.as_ref()).await?;
    let done = html(&SetUpDone { site: Site::of(&app), email: user.email });
    Ok(with_cookie(done, session_cookie(&app, &started)))
}

/// What the database keeps of the secret: it is random, so a fast hash is enough.
fn kept(token: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(token.hash())
}

/// In constant time.
async fn check_token(app: &App, token: &str) -> Result<(), PageError> {
    let stored = still_open(app).await?.ok_or_else(used_up)?;
    let right: bool = stored.as_bytes().ct_eq(kept(&Secret::new(token)).as_bytes()).into();
    if right { Ok(()) } else { Err(used_up()) }
}

async fn still_open(app: &App) -> Result<Option<String>, StoreError> {
    let mut conn = app.store.read().await?;
    if users::any(&mut conn).await? {
        return Ok(None);
    }
    installation::get(&mut conn, NAME).await
}

fn used_up() -> PageError {
    PageError::new(
        StatusCode::FORBIDDEN,
        "This set-up link does not work",
        "It can be used once, until there is an account, and each start of the server makes a new one. Look for the newest link in the server's output; if an account exists already, sign in.",
    )
}

/// The hash of the password, if everything that was entered is in order.
async fn checked_hash(app: &App, email: &str, name: &str, form: &Form<'_>) -> Result<Result<String, Refusal>, PageError> {
    let password = form.text("password");
    let problem = if !User::is_email(email) {
        Problem::not_an_email()
    } else if name.is_empty() {
        Problem::name_missing()
    } else if password != form.text("password_again") {
        Problem::passwords_differ()
    } else if let Err(reason) = check_policy(password, email, app.config.passwords.min_length) {
        Problem::password_refused(reason)
    } else {
        return match app.passwords.hash(password).await {
            Ok(hash) => Ok(Ok(hash)),
            Err(error) => Refusal::of_password(error).map(Err),
        };
    };
    Ok(Err(Refusal::of(problem)))
}

fn page(app: &App, visit: &Visit, token: &str, email: &str, name: &str, problem: Option<Problem>) -> SetUp {
    SetUp {
        site: Site::of(app),
        csrf: visit.form_token(app),
        token: token.to_owned(),
        email: email.to_owned(),
        name: name.to_owned(),
        min_length: app.config.passwords.min_length,
        problem,
    }
}
