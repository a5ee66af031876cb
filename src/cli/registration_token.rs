//! `tessera client registration-token`: who may register clients while `registration.mode` is "token".

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::failure::not_found;
use super::output::{self, List, moment};
use crate::app::App;
use crate::config::RegistrationMode;
use crate::lifecycle::registration_token;
use crate::model::{Actor, RegistrationToken};
use crate::store::registration;

/// See `tessera client registration-token --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an initial access token, with which apps can register themselves; it is printed once
    Create {
        /// For whom it is, to find it again
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// How many clients may be registered with it
        #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        uses: u32,
        /// Days until it expires
        #[arg(long, value_name = "NUMBER", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=3_660))]
        days: u32,
        /// Print id, token and expires_at as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the tokens that there are, the oldest first
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Take a token back; clients that were registered with it stay
    Revoke {
        /// Its id, as listed
        id: String,
    },
}

pub(super) async fn run(app: &App, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create { note, uses, days, json } => create(app, &note, uses, days, json).await,
        Command::List { json } => list(app, json).await,
        Command::Revoke { id } => match registration_token::revoke(app, &Actor::operator(), &id).await? {
            true => output::line(&format!("{} is good for nothing any more.", output::printable(&id))),
            false => Err(not_found(format!("there is no registration token {}", output::printable(&id)))),
        },
    }
}

async fn create(app: &App, note: &str, uses: u32, days: u32, as_json: bool) -> anyhow::Result<()> {
    let lifetime = Duration::from_secs(u64::from(days) * 86_400);
    let (kept, token) = registration_token::create(app, &Actor::operator(), note, uses, lifetime).await?;
    if app.config.registration.mode != RegistrationMode::Token {
        output::note("Note: nobody is asked for it unless registration.mode is \"token\".");
    }
    let expires = kept.expires_at.rfc3339();
    if as_json {
        return output::json(&json!({ "id": kept.id, "token": token.expose(), "expires_at": expires }));
    }
    output::line("Whoever has this token can register clients: they send it as Bearer to the registration endpoint.")?;
    let fields = [("id", kept.id), ("token", token.expose().to_owned()), ("uses", uses.to_string()), ("expires", expires)];
    output::print(&format!("\n{}", output::fields(&fields)))?;
    output::note("\nKeep the token now: it is stored as a hash and will not be shown again.");
    Ok(())
}

async fn list(app: &App, as_json: bool) -> anyhow::Result<()> {
    let now = app.now();
    let mut list = List::new(as_json, &["id", "note", "uses left", "expires", "state"]);
    let tokens = registration::list_tokens(&mut app.store.read().await?).await?;
    let state = |token: &RegistrationToken| match token {
        token if token.expires_at <= now => "expired",
        token if token.uses_left <= 0 => "used up",
        _ => "active",
    };
    list.rows(tokens.iter().map(|token| {
        let expires = token.expires_at.rfc3339();
        let cells =
            vec![token.id.clone(), token.note.clone(), token.uses_left.to_string(), expires.clone(), state(token).to_owned()];
        (cells, as_value(token, state(token)))
    }))?;
    list.end("There is no registration token yet: tessera client registration-token create")
}

fn as_value(token: &RegistrationToken, state: &str) -> Value {
    json!({
        "id": token.id,
        "note": token.note,
        "uses_left": token.uses_left,
        "created_at": moment(Some(token.created_at)),
        "expires_at": moment(Some(token.expires_at)),
        "state": state,
    })
}
