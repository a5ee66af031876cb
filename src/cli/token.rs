//! `tessera token`: what a token says and whether it is good, and taking it back.

use std::io::{self, Read};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::Value;

use super::failure::{not_found, usage};
use super::token_state::{self, Jwt};
use super::{Globals, output};
use crate::app::App;
use crate::clock::Timestamp;
use crate::keyring::MAX_TOKEN_BYTES;
use crate::lifecycle;
use crate::model::{Actor, Secret};
use crate::oidc::access_token;
use crate::store::token_families;

/// No access token lives longer.
const LONGEST_ACCESS_TOKEN: Duration = Duration::from_secs(3600);

/// See `tessera token --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what a token says, whether its signature is right, and whether it was taken back
    #[command(after_help = INSPECT_HELP)]
    Inspect {
        /// An access, ID or refresh token, or - to read it from standard input
        #[arg(allow_hyphen_values = true)]
        token: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Take a token back: an access token is refused at once, a refresh token ends with its whole family
    #[command(after_help = REVOKE_HELP)]
    Revoke {
        /// An access or refresh token, or - to read it from standard input
        #[arg(required_unless_present = "jti")]
        token: Option<String>,
        /// Revoke the access token with this jti instead, for instance from a log
        #[arg(long, conflicts_with = "token")]
        jti: Option<String>,
        /// With --jti: the token's exp, in seconds since 1970; an hour from now if not given
        #[arg(long, requires = "jti", value_name = "SECONDS")]
        expires: Option<i64>,
    },
}

const INSPECT_HELP: &str = "\
Examples:
  echo \"$TOKEN\" | tessera token inspect -
  echo \"$TOKEN\" | tessera token inspect - --json | jq .active

Other users of the machine can read arguments in the list of processes: prefer - and standard input.
Nothing that a token says is believed; a token of another issuer is shown as not signed by this one.";

const REVOKE_HELP: &str = "\
Examples:
  echo \"$TOKEN\" | tessera token revoke -
  tessera token revoke --jti 5f0c1f2e-… --expires 1767225600

Other users of the machine can read arguments in the list of processes: prefer - and standard input.";

pub(super) async fn run(globals: &Globals, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Inspect { token, json } => {
            let token = read(token)?;
            let app = globals.open().await?;
            match Jwt::decode(token.expose()) {
                Some(jwt) => token_state::show_jwt(&app, token.expose(), &jwt, json).await,
                None => token_state::show_refresh_token(&app, &token, json).await,
            }
        }
        Command::Revoke { token: Some(token), .. } => {
            let token = read(token)?;
            let app = globals.open().await?;
            match Jwt::decode(token.expose()) {
                Some(jwt) => revoke_access_token(&app, token.expose(), &jwt).await,
                None => revoke_family(&app, &token).await,
            }
        }
        Command::Revoke { token: None, jti, expires } => {
            let Some(jti) = jti.filter(|jti| !jti.is_empty()) else { return Err(usage("give a token, - or --jti JTI")) };
            let app = globals.open().await?;
            let expires_at = expires.map_or_else(|| app.now() + LONGEST_ACCESS_TOKEN, Timestamp::from_seconds);
            if expires_at <= app.now() {
                return output::line("The token has expired: nobody accepts it any more.");
            }
            lifecycle::token::revoke(&app, &Actor::operator(), &jti, None, expires_at, None).await?;
            output::line(&format!("The access token {} is refused from now on.", output::printable(&jti)))
        }
    }
}

/// The token itself, from the argument or standard input.
fn read(argument: String) -> anyhow::Result<Secret> {
    let argument = Secret::new(argument);
    if argument.expose() != "-" {
        return Ok(Secret::new(argument.expose().trim()));
    }
    let mut text = String::new();
    io::stdin().take(MAX_TOKEN_BYTES as u64 + 2).read_to_string(&mut text).context("standard input cannot be read as text")?;
    match text.trim() {
        "" => Err(usage("standard input has no token")),
        token => Ok(Secret::new(token)),
    }
}

/// Only a token of ours: an entry for anything else would refuse nothing, or something else.
async fn revoke_access_token(app: &App, token: &str, jwt: &Jwt) -> anyhow::Result<()> {
    match jwt.kind() {
        "access_token" => {}
        "id_token" => {
            bail!("this is an ID token, which nobody accepts for access: end the session, or revoke the access or refresh token")
        }
        _ => bail!("this is not an access token of this provider"),
    }
    let verified = jwt.verify(app, token).context("the token is not one of this provider's")?;
    let text = |name: &str| verified.claims.get(name).and_then(Value::as_str);
    let (Some(jti), Some(exp)) = (text("jti"), verified.claims.get("exp").and_then(Value::as_i64)) else {
        bail!("the token has no jti or no exp");
    };
    let expires_at = Timestamp::from_seconds(exp);
    if expires_at + app.leeway() <= app.now() {
        return output::line("The token has expired: nobody accepts it any more.");
    }
    let audience = access_token::audience(&verified.claims);
    lifecycle::token::revoke(app, &Actor::operator(), jti, text("client_id"), expires_at, audience).await?;
    output::line(&format!("The access token {jti} is refused from now on."))
}

async fn revoke_family(app: &App, token: &Secret) -> anyhow::Result<()> {
    let mut conn = app.store.read().await?;
    let found = match token_families::find_token(&mut conn, &token.hash()).await? {
        Some(token) => token_families::find(&mut conn, &token.family_id).await?,
        None => None,
    };
    drop(conn);
    let Some(family) = found else { return Err(not_found("there is no such refresh token")) };
    if let Some(at) = family.revoked_at {
        return output::line(&format!("Its family {} had ended at {}.", family.id, at.rfc3339()));
    }
    lifecycle::family::revoke(app, &Actor::operator(), &family).await?;
    output::line(&format!("The refresh token's family {} and its access tokens are refused from now on.", family.id))
}
