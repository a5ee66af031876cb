//! `tessera client`: apps, services and resource servers.

use anyhow::bail;
use clap::Subcommand;
use serde_json::{Value, json};

use super::client_options::{Options, check};
use super::failure::{not_found, usage};
use super::output::{self, List, moment};
use super::{Globals, logout_failures, prompt, registration_token};
use crate::app::App;
use crate::lifecycle;
use crate::model::client::ClientOrigin;
use crate::model::secret::new_id;
use crate::model::{Actor, Client, Secret};
use crate::store::clients;

/// Clients read at once by `client list`.
const PORTION: i64 = 500;

/// See `tessera client --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Register a client; its secret is printed once
    #[command(after_help = ADD_HELP)]
    Add {
        /// Its client_id; a random one if not given
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        options: Box<Options>,
        /// Print client_id and client_secret as JSON
        #[arg(long)]
        json: bool,
    },
    /// List all clients, in order of their ids
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one client's metadata
    Show {
        /// client_id
        id: String,
        /// Print one JSON object, with the names of OpenID Connect Registration
        #[arg(long)]
        json: bool,
    },
    /// Change a client; only what is given changes
    #[command(after_help = UPDATE_HELP)]
    Update {
        /// client_id
        id: String,
        #[command(flatten)]
        options: Box<Options>,
        /// Print client_id, and client_secret if it got one, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a client a new secret; the old one stops working at once
    RotateSecret {
        /// client_id
        id: String,
        /// Somebody else knew the old secret: refuse every access token that was issued to the client until now
        #[arg(long)]
        compromised: bool,
        /// Print client_id and client_secret as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the apps that could not be told that people signed out, and why (back-channel logout)
    LogoutFailures {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Give a client no more tokens, and refuse those that it has
    Disable {
        /// client_id
        id: String,
    },
    /// Let a client have tokens again
    Enable {
        /// client_id
        id: String,
    },
    /// Delete a client with everybody's consent to it; its tokens are refused at once
    Delete {
        /// client_id
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Make, list and revoke tokens with which apps can register themselves
    #[command(subcommand, arg_required_else_help = true)]
    RegistrationToken(registration_token::Command),
}

const ADD_HELP: &str = "\
Examples:
  A web app:
    tessera client add --name Shop --redirect-uri https://shop.example/callback
  A single-page or mobile app, which cannot keep a secret:
    tessera client add --name Notes --public --redirect-uri https://notes.example/callback
  A service without people:
    tessera client add --name Nightly --grant client_credentials --audience https://api.example
  A resource server that introspects tokens:
    tessera client add --name API --resource-server-for https://api.example";

const UPDATE_HELP: &str = "\
Lists are replaced as a whole, and an empty value clears: --audience \"\" or --logo-uri \"\".

Examples:
  tessera client update shop --redirect-uri https://shop.example/callback --redirect-uri https://shop.example/silent
  tessera client update shop --access-token-lifetime default --skip-consent=false";

pub(super) async fn run(globals: &Globals, command: Command) -> anyhow::Result<()> {
    let app = globals.open().await?;
    let operator = Actor::operator();
    match command {
        Command::RegistrationToken(command) => registration_token::run(&app, command).await,
        Command::Add { id, options, json } => add(&app, id.unwrap_or_else(new_id), &options, json).await,
        Command::List { json } => list(&app, json).await,
        Command::Show { id, json } => show(&find(&app, &id).await?, json),
        Command::Update { id, options, json } => update(&app, &id, &options, json).await,
        Command::RotateSecret { id, compromised, json } => {
            let client = find_own(&app, &id).await?;
            if !client.metadata.needs_secret() {
                bail!("{id} has no secret: it uses {}", text(&json!(client.metadata.token_endpoint_auth_method)));
            }
            let secret = lifecycle::client::rotate_secret(&app, &operator, &id, compromised).await?;
            print_secret(&id, Some(&secret), json, &format!("{id} has a new secret; the old one works no more."))
        }
        Command::LogoutFailures { json } => logout_failures::run(&app, json).await,
        Command::Disable { id } => {
            find(&app, &id).await?;
            lifecycle::client::disable(&app, &operator, &id).await?;
            output::line(&format!("{id} gets no more tokens, and those that it has are refused."))
        }
        Command::Enable { id } => {
            find(&app, &id).await?;
            lifecycle::client::enable(&app, &operator, &id).await?;
            output::line(&format!("{id} may have tokens again."))
        }
        Command::Delete { id, yes } => {
            let client = find_own(&app, &id).await?;
            let name = output::printable(client.display_name());
            prompt::confirm(&format!("Delete the client {id} ({name}) with everybody's consent to it?"), yes)?;
            lifecycle::client::delete(&app, &operator, &id).await?;
            output::line(&format!("{id} was deleted."))
        }
    }
}

async fn add(app: &App, id: String, options: &Options, as_json: bool) -> anyhow::Result<()> {
    let metadata = options.new_metadata()?;
    if metadata.client_name.is_none() {
        return Err(usage("give the client a name that people recognise: --name NAME"));
    }
    check(&id, &metadata, &app.config)?;
    let secret = match lifecycle::client::create(app, &Actor::operator(), &id, metadata).await {
        Err(error) if error.is_unique_violation() => bail!("there is a client {id} already"),
        created => created?,
    };
    print_secret(&id, secret.as_ref(), as_json, "The client was registered.")
}

async fn update(app: &App, id: &str, options: &Options, as_json: bool) -> anyhow::Result<()> {
    if options.is_empty() {
        return Err(usage("nothing to change was given; see tessera client update --help"));
    }
    let client = find_own(app, id).await?;
    if client.origin == ClientOrigin::Document {
        bail!("{id} is what the document there says, and would be so again soon: disable it if it must not be used");
    }
    let mut metadata = client.metadata.0.clone();
    options.apply(&mut metadata)?;
    check(id, &metadata, &app.config)?;
    let secret = lifecycle::client::update(app, &Actor::operator(), &client, metadata).await?;
    if client.registration_token_hash.is_some() {
        output::note("The client registered itself; from now on it cannot change or delete itself any more.");
    }
    print_secret(id, secret.as_ref(), as_json, &format!("{id} was changed."))
}

async fn list(app: &App, as_json: bool) -> anyhow::Result<()> {
    let mut list = List::new(as_json, &["client_id", "name", "authentication", "state", "from"]);
    let mut after = String::new();
    loop {
        let portion = clients::list(&mut app.store.read().await?, &after, PORTION).await?;
        let Some(last) = portion.last() else { break };
        after.clone_from(&last.id);
        list.rows(portion.iter().map(|client| {
            let name = client.metadata.client_name.clone().unwrap_or_default();
            let method = text(&json!(client.metadata.token_endpoint_auth_method));
            let state = if client.disabled_at.is_some() { "disabled" } else { "active" };
            let from = match client.origin {
                ClientOrigin::Declared => "configuration",
                ClientOrigin::Operator => "command",
                ClientOrigin::Registered => "registration",
                ClientOrigin::Document => "metadata document",
            };
            (vec![client.id.clone(), name, method, state.to_owned(), from.to_owned()], as_value(client))
        }))?;
    }
    list.end("There is no client yet: tessera client add --name NAME --redirect-uri URI")
}

fn show(client: &Client, as_json: bool) -> anyhow::Result<()> {
    let value = as_value(client);
    if as_json {
        return output::json(&value);
    }
    let members = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let fields: Vec<(&str, String)> = members.map(|(name, value)| (name.as_str(), text(value))).collect();
    output::print(&output::fields(&fields))
}

/// The client by its `client_id`.
async fn find(app: &App, id: &str) -> anyhow::Result<Client> {
    let found = clients::find(&mut app.store.read().await?, id).await?;
    found.ok_or_else(|| not_found(format!("there is no client {}", output::printable(id))))
}

/// The client, if commands may change it: one that is declared would be changed back at the next start.
async fn find_own(app: &App, id: &str) -> anyhow::Result<Client> {
    let client = find(app, id).await?;
    if client.origin == ClientOrigin::Declared && app.config.clients.iter().any(|declared| declared.client_id == client.id) {
        bail!(
            "{id} is declared in the configuration, which is applied at each start: change it under [[clients]] in tessera.toml"
        );
    }
    Ok(client)
}

fn print_secret(id: &str, secret: Option<&Secret>, as_json: bool, done: &str) -> anyhow::Result<()> {
    if as_json {
        let mut value = json!({ "client_id": id });
        if let Some(secret) = secret {
            value["client_secret"] = secret.expose().into();
        }
        return output::json(&value);
    }
    let mut fields = vec![("client_id", id.to_owned())];
    fields.extend(secret.map(|secret| ("client_secret", secret.expose().to_owned())));
    output::line(done)?;
    output::print(&format!("\n{}", output::fields(&fields)))?;
    if secret.is_some() {
        output::note("\nKeep the secret now: it will not be shown again.");
    }
    Ok(())
}

/// The metadata with what this provider knows beside it. Never the secret, sealed or not.
fn as_value(client: &Client) -> Value {
    let mut value = json!({
        "client_id": client.id,
        "origin": client.origin,
        "disabled_at": moment(client.disabled_at),
        "created_at": moment(Some(client.created_at)),
        "updated_at": moment(Some(client.updated_at)),
        "has_secret": client.secret_hash.is_some(),
    });
    if let (Some(all), Ok(Value::Object(metadata))) = (value.as_object_mut(), serde_json::to_value(&client.metadata.0)) {
        all.extend(metadata);
    }
    value
}

/// A value as a person reads it: lists with spaces, text without quotes.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(many) => many.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
