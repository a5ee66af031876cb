//! `tessera key`: signing keys.

use anyhow::{Context, bail};
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};

use super::failure::not_found;
use super::output::{self, List, moment};
use super::{Globals, key_import, key_rewrap, prompt};
use crate::app::App;
use crate::clock::Timestamp;
use crate::lifecycle::key::{self, Next, RotateError, Settings};
use crate::model::{Actor, Algorithm, KeyState, SigningKey};
use crate::store::signing_keys;

/// See `tessera key --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the signing keys and what each does now
    #[command(after_help = LIST_HELP)]
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Let the published successor sign from now on, and publish a new successor
    #[command(after_help = ROTATE_HELP)]
    Rotate {
        /// Only the keys of this algorithm; both without it
        #[arg(long, value_parser = algorithms())]
        alg: Option<Algorithm>,
        /// Also if resource servers may not know the successor yet
        #[arg(long)]
        now: bool,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// A key is compromised: stop it, and refuse every token under it, at once
    #[command(after_help = REVOKE_HELP)]
    Revoke {
        /// The key's kid, as `tessera key list` prints it
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Take in a private key that was made elsewhere
    #[command(after_help = key_import::HELP)]
    Import(key_import::Args),
    /// Encrypt everything in the database anew, under the key-encryption key that is current now
    #[command(after_help = key_rewrap::HELP)]
    Rewrap(key_rewrap::Args),
}

const LIST_HELP: &str = "\
States:
  upcoming  published, signs nothing yet
  active    signs; one for each algorithm
  retiring  published so that its tokens can be verified; signs nothing more
  revoked   not published; every token under it is refused
Next is what becomes of it by itself: it signs, it retires, it is deleted.";

const ROTATE_HELP: &str = "\
Keys rotate by themselves (keys.rotate_every); this is for doing it earlier. Resource servers may keep the key set for ten
minutes. A successor that has not been published as long as keys.publish_before asks is not activated, since they might
refuse its tokens; --now does it all the same, and says what breaks.";

const REVOKE_HELP: &str = "\
Everybody whose token was signed under the key must get a new one. If the key was signing, its successor signs at once.
To replace a key that nobody stole: tessera key rotate";

pub(super) async fn run(globals: &Globals, command: Command) -> anyhow::Result<()> {
    let app = globals.open().await?;
    match command {
        Command::List { json } => list(&app, json).await,
        Command::Rotate { alg, now, json } => rotate(&app, alg, now, json).await,
        Command::Revoke { kid, yes } => revoke(&app, &kid, yes).await,
        Command::Import(args) => key_import::run(&app, &args).await,
        Command::Rewrap(args) => key_rewrap::run(&app, &args).await,
    }
}

async fn list(app: &App, as_json: bool) -> anyhow::Result<()> {
    let keys = signing_keys::all(&mut app.store.read().await?).await?;
    let settings = Settings::of(&app.config);
    let mut list = List::new(as_json, &["kid", "alg", "state", "since", "next"]);
    list.rows(keys.iter().map(|key| {
        let next = key::next(key, &keys, &settings);
        let words = next.map_or_else(String::new, |(what, at)| format!("{} {}", next_text(what), at.rfc3339()));
        let cells = vec![key.kid.clone(), key.alg.as_str().to_owned(), text(key.state), since(key), words];
        (cells, as_value(key, next))
    }))?;
    list.end("There is no key yet.")
}

async fn rotate(app: &App, alg: Option<Algorithm>, at_once: bool, as_json: bool) -> anyhow::Result<()> {
    let mut rotated = Vec::new();
    for alg in Algorithm::ALL.into_iter().filter(|one| alg.is_none_or(|alg| alg == *one)) {
        let kid = rotate_one(app, alg, at_once).await.with_context(|| format!("{} keys were not rotated", alg.as_str()))?;
        if !as_json {
            output::line(&format!("{} tokens are signed by {kid} from now on.", alg.as_str()))?;
        }
        rotated.push(json!({ "alg": alg.as_str(), "kid": kid }));
    }
    if as_json { output::json(&Value::from(rotated)) } else { Ok(()) }
}

/// The `kid` that signs now.
async fn rotate_one(app: &App, alg: Algorithm, at_once: bool) -> anyhow::Result<String> {
    let operator = Actor::operator();
    match key::rotate(app, &operator, alg, false).await {
        Ok(kid) => Ok(kid),
        Err(RotateError::TooYoung { kid, since, unknown_for, .. }) if at_once => {
            let alg_name = alg.as_str();
            output::note(&if unknown_for.is_zero() {
                format!(
                    "warning: {kid} was published only at {}, less than keys.publish_before ago. A resource server that keeps the key set for \
                     longer than its ten minutes refuses new {alg_name} tokens until it fetches it again.",
                    since.rfc3339()
                )
            } else {
                format!(
                    "warning: {kid} was published only at {}. A resource server or app that holds the key set from before refuses new {alg_name} \
                     tokens until it fetches it again: for up to {} s. Tokens that were signed before stay good.",
                    since.rfc3339(),
                    unknown_for.as_secs() + 1
                )
            });
            Ok(key::rotate(app, &operator, alg, true).await?)
        }
        Err(RotateError::TooYoung { kid, since, wait, .. }) => bail!(
            "the successor {kid} was published only at {}, and resource servers that hold the key set from before would refuse its tokens; \
             wait {} s more (keys.publish_before), or pass --now if the present key must stop signing at once",
            since.rfc3339(),
            wait.as_secs() + 1
        ),
        Err(other) => Err(other.into()),
    }
}

async fn revoke(app: &App, kid: &str, yes: bool) -> anyhow::Result<()> {
    let keys = signing_keys::all(&mut app.store.read().await?).await?;
    let Some(found) = keys.iter().find(|key| key.kid == kid) else {
        return Err(not_found(format!("there is no key {}", output::printable(kid))));
    };
    if let Some(at) = found.revoked_at {
        return output::line(&format!("{kid} was revoked before, at {}.", at.rfc3339()));
    }
    prompt::confirm(
        &format!("Revoke the {} {} key {kid}? Every token under it is refused.", text(found.state), found.alg.as_str()),
        yes,
    )?;
    if !key::revoke(app, &Actor::operator(), kid).await? {
        bail!("another process has just changed {kid}: look at `tessera key list`");
    }
    output::line(&format!("{kid} is revoked: it is out of the key set, and every token under it is refused."))
}

fn as_value(key: &SigningKey, next: Option<(Next, Timestamp)>) -> Value {
    json!({
        "kid": key.kid,
        "alg": key.alg.as_str(),
        "state": text(key.state),
        "created_at": moment(Some(key.created_at)),
        "activated_at": moment(key.activated_at),
        "retired_at": moment(key.retired_at),
        "revoked_at": moment(key.revoked_at),
        "next": next.map(|(what, _)| next_text(what)),
        "next_at": moment(next.map(|(_, at)| at)),
    })
}

/// Since when it is in its state.
fn since(key: &SigningKey) -> String {
    let at = match key.state {
        KeyState::Upcoming => None,
        KeyState::Active => key.activated_at,
        KeyState::Retiring => key.retired_at,
        KeyState::Revoked => key.revoked_at,
    };
    at.unwrap_or(key.created_at).rfc3339()
}

/// What becomes of a key by itself.
const fn next_text(next: Next) -> &'static str {
    match next {
        Next::Signs => "signs",
        Next::Retires => "retires",
        Next::Deleted => "deleted",
    }
}

/// What a key does now.
pub(super) fn text(state: KeyState) -> String {
    let name = match state {
        KeyState::Upcoming => "upcoming",
        KeyState::Active => "active",
        KeyState::Retiring => "retiring",
        KeyState::Revoked => "revoked",
    };
    name.to_owned()
}

/// The parser of `--alg`.
pub(super) fn algorithms() -> impl TypedValueParser<Value = Algorithm> {
    PossibleValuesParser::new(Algorithm::ALL.map(Algorithm::as_str)).try_map(|name| algorithm(&name))
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::ALL
        .into_iter()
        .find(|alg| alg.as_str() == name)
        .ok_or_else(|| format!("{name} is not an algorithm of this provider"))
}
