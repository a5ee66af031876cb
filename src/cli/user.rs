//! `tessera user`: people's accounts.

use std::sync::Arc;

use anyhow::bail;
use clap::Subcommand;
use serde_json::{Value, json};

use super::failure::{not_found, usage};
use super::output::{self, List, moment};
use super::user_options::Details;
use super::{Globals, prompt};
use crate::app::App;
use crate::lifecycle;
use crate::model::{Actor, User};
use crate::oidc::subject;
use crate::store::{credentials, sessions, users};

/// Accounts read at once by `user list`.
const PORTION: i64 = 500;

/// See `tessera user --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create an account; the password is asked for
    #[command(after_help = ADD_HELP)]
    Add {
        /// The address by which the person signs in
        email: String,
        #[command(flatten)]
        details: Details,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
        /// Set no password: nobody can sign in to the account until one is set
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
        /// Print the account as JSON
        #[arg(long)]
        json: bool,
    },
    /// List all accounts, in order of their e-mail addresses
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one account
    Show {
        /// E-mail address or id
        user: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Change what is known about a person
    #[command(after_help = UPDATE_HELP)]
    Update {
        /// E-mail address or id
        user: String,
        /// The new e-mail address
        #[arg(long)]
        email: Option<String>,
        #[command(flatten)]
        details: Details,
    },
    /// Set a new password; all sessions and tokens of the person end
    #[command(after_help = "Example:\n  pass show ada | tessera user set-password ada@example.com --password-stdin")]
    SetPassword {
        /// E-mail address or id
        user: String,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Let nobody sign in to an account, and refuse its tokens at once
    Disable {
        /// E-mail address or id
        user: String,
    },
    /// Let the person sign in again; tokens from before stay refused
    Enable {
        /// E-mail address or id
        user: String,
    },
    /// Delete an account with everything that belongs to it; its tokens are refused at once
    Delete {
        /// E-mail address or id
        user: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

const ADD_HELP: &str = "\
Examples:
  tessera user add ada@example.com --name \"Ada Lovelace\" --roles admin,auditor --verified
  pwgen -s 20 1 | tee /dev/tty | tessera user add bob@example.com --password-stdin
  tessera user add carol@example.com --no-password --json

A password never comes from an argument: other users of the machine could read it in the list of processes.";

const UPDATE_HELP: &str = "\
Only what is given changes. An empty value removes: --phone \"\" or --roles \"\".

Example:
  tessera user update ada@example.com --roles auditor --email ada@example.org --verified=false

New values are in the tokens that are issued from now on.";

pub(super) async fn run(globals: &Globals, command: Command) -> anyhow::Result<()> {
    if let Command::Add { email, .. } | Command::Update { email: Some(email), .. } = &command {
        check_email(email)?;
    }
    let app = globals.open().await?;
    let operator = Actor::operator();
    match command {
        Command::Add { email, details, password_stdin, no_password, json } => {
            add(&app, &email, &details, (!no_password).then_some(password_stdin), json).await
        }
        Command::List { json } => list(&app, json).await,
        Command::Show { user, json } => show(&app, &find(&app, &user).await?, json).await,
        Command::Update { user, email, details } => {
            if email.is_none() && details == Details::default() {
                return Err(usage("nothing to change was given; see tessera user update --help"));
            }
            let mut user = find(&app, &user).await?;
            if let Some(email) = email {
                user.email = email.trim().to_owned();
                user.email_verified = false;
            }
            details.apply(&mut user);
            match lifecycle::user::update(&app, &operator, &user).await {
                Err(error) if error.is_unique_violation() => bail!("another account has the e-mail address {}", user.email),
                updated => updated?,
            }
            output::line(&format!("{} was changed.", user.email))
        }
        Command::SetPassword { user, password_stdin } => {
            let user = find(&app, &user).await?;
            let password = prompt::new_password(password_stdin, &user.email, app.config.passwords.min_length)?;
            let hash = app.passwords.hash(&password).await?;
            lifecycle::user::change_password(&app, &operator, &user.id, &hash).await?;
            output::line(&format!("{} has a new password. All their sessions and tokens have ended.", user.email))
        }
        Command::Disable { user } => {
            let user = find(&app, &user).await?;
            lifecycle::user::disable(&app, &operator, &user.id).await?;
            output::line(&format!("{} cannot sign in any more. All their sessions and tokens have ended.", user.email))
        }
        Command::Enable { user } => {
            let user = find(&app, &user).await?;
            lifecycle::user::enable(&app, &operator, &user.id).await?;
            output::line(&format!("{} may sign in again.", user.email))
        }
        Command::Delete { user, yes } => {
            let user = find(&app, &user).await?;
            prompt::confirm(&format!("Delete the account {} with everything that belongs to it?", user.email), yes)?;
            lifecycle::user::delete(&app, &operator, &user.id).await?;
            output::line(&format!("{} was deleted.", user.email))
        }
    }
}

/// `password`: none if the account gets none, else whether it comes from standard input.
async fn add(app: &App, email: &str, details: &Details, password: Option<bool>, as_json: bool) -> anyhow::Result<()> {
    let mut user = lifecycle::user::new_user(email, app.now());
    details.apply(&mut user);
    let taken = || format!("there is an account with the e-mail address {} already", user.email);
    // Before a password is thought up for nothing; the insert has the last word.
    if users::find_by_email(&mut app.store.read().await?, email).await?.is_some() {
        bail!(taken());
    }
    let hash = match password {
        Some(from_stdin) => {
            let password = prompt::new_password(from_stdin, &user.email, app.config.passwords.min_length)?;
            Some(app.passwords.hash(&password).await?)
        }
        None => None,
    };
    match lifecycle::user::create(app, &Actor::operator(), &user, hash.as_deref()).await {
        Err(error) if error.is_unique_violation() => bail!(taken()),
        created => created?,
    }
    output::either(as_json, || as_value(&user), &format!("{} was added. The account's id is {}.", user.email, user.id))
}

async fn list(app: &App, as_json: bool) -> anyhow::Result<()> {
    let mut list = List::new(as_json, &["email", "name", "roles", "state", "id"]);
    let mut after = String::new();
    loop {
        let portion = users::list(&mut app.store.read().await?, &after, PORTION).await?;
        let Some(last) = portion.last() else { break };
        after.clone_from(&last.email_key);
        list.rows(portion.iter().map(|user| {
            let state = if user.disabled_at.is_some() { "disabled" } else { "active" };
            let name = user.profile.name.clone().unwrap_or_default();
            (vec![user.email.clone(), name, user.roles.join(","), state.to_owned(), user.id.clone()], as_value(user))
        }))?;
    }
    list.end("There is no account yet: tessera user add EMAIL")
}

async fn show(app: &Arc<App>, user: &User, as_json: bool) -> anyhow::Result<()> {
    let mut conn = app.store.read().await?;
    let has_password = credentials::password_hash(&mut conn, &user.id).await?.is_some();
    let sessions = sessions::live_of_user(&mut conn, &user.id, app.now()).await?.len();
    if as_json {
        let mut value = as_value(user);
        value["has_password"] = has_password.into();
        value["sessions"] = sessions.into();
        return output::json(&value);
    }
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let mut fields = vec![
        ("id", user.id.clone()),
        ("email", user.email.clone()),
        ("verified", yes_no(user.email_verified)),
        ("roles", user.roles.join(", ")),
        ("groups", user.groups.join(", ")),
        ("password", if has_password { "set" } else { "none" }.to_owned()),
        ("tokens valid from", user.password_changed_at.rfc3339()),
        ("sessions", sessions.to_string()),
        ("disabled", user.disabled_at.map_or_else(|| "no".to_owned(), |at| format!("since {}", at.rfc3339()))),
        ("created", user.created_at.rfc3339()),
        ("changed", user.updated_at.rfc3339()),
    ];
    let profile = json!(user.profile);
    let claims = profile.as_object().into_iter().flatten();
    fields.extend(claims.map(|(name, value)| (name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))));
    output::print(&output::fields(&fields))
}

/// The account by its e-mail address, its id, or a `sub` of its.
async fn find(app: &App, name: &str) -> anyhow::Result<User> {
    let mut conn = app.store.read().await?;
    let found = match name.contains('@') {
        true => users::find_by_email(&mut conn, name).await?,
        false => {
            // An app's operator names a person by the `sub` that the app has, which may be pairwise.
            let id = subject::user_of(&mut conn, name).await?;
            users::find(&mut conn, &id).await?
        }
    };
    found.ok_or_else(|| not_found(format!("there is no account with the e-mail address, id or sub {}", output::printable(name))))
}

fn check_email(email: &str) -> anyhow::Result<()> {
    let email = email.trim();
    let right = email.len() <= 254
        && !email.contains(|c: char| c.is_whitespace() || c.is_control())
        && email.rsplit_once('@').is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty());
    if right { Ok(()) } else { Err(usage(format!("{} is not an e-mail address", output::printable(email)))) }
}

fn as_value(user: &User) -> Value {
    json!({
        "id": user.id,
        "email": user.email,
        "email_verified": user.email_verified,
        "profile": user.profile,
        "roles": user.roles,
        "groups": user.groups,
        "disabled_at": moment(user.disabled_at),
        "password_changed_at": moment(Some(user.password_changed_at)),
        "created_at": moment(Some(user.created_at)),
        "updated_at": moment(Some(user.updated_at)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_email_address_is() {
        for right in ["a@b", "ada.lovelace+x@example.com", "ü@bücher.example"] {
            assert!(check_email(right).is_ok(), "{right}");
        }
        for wrong in ["", "ada", "@example.com", "ada@", "a b@example.com", "ada@example.com\u{7}x"] {
            assert!(check_email(wrong).is_err(), "{wrong:?}");
        }
    }
}
