//! `tessera forward-auth`: the sidecar from its options, and the secret from its environment. It reads no configuration: the machine that
//! it runs on has nothing of the provider's.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tessera_verifier::{BuildError, HttpError, ProviderError};

use super::failure::usage;
use super::{Globals, environment};
use crate::config::{Log, LogLevel, Tls, secret_in_file};
use crate::forward_auth::{self, Settings, WhenStale};
use crate::model::Secret;
use crate::server::{self, Server};
use crate::telemetry;

/// A request's head, in bytes: a token of 16 KiB, and as much again three times for cookies and everything else.
const MAX_HEAD: usize = 64 * 1024;

/// How long requests that run may still take when it stops.
const DRAIN: Duration = Duration::from_secs(10);

const SECRET: &str = "TESSERA_CLIENT_SECRET";
const SECRET_FILE: &str = "TESSERA_CLIENT_SECRET_FILE";

/// Tell a reverse proxy whether a request's token is good and not revoked
#[derive(clap::Args, Debug)]
#[command(
    long_about = "\
Answers nginx auth_request, Traefik forwardAuth and Caddy forward_auth: GET /verify is 200 for a request with a good access token, and \
says in X-Auth-* headers whose it is. A revoked token is refused within a second, and nobody is asked about it. The app behind the proxy \
needs no library. docs/forward-auth.md has the proxies' configuration.",
    after_help = "\
The client is one that was registered with --resource-server-for. Its secret is read from the variable TESSERA_CLIENT_SECRET, or from the
file that TESSERA_CLIENT_SECRET_FILE names.

Signals:
  SIGTERM, SIGINT  takes no more requests, finishes those that run, and ends; a second one ends it at once"
)]
pub struct Args {
    /// The provider, exactly as its metadata writes it.
    #[arg(long, value_name = "URL")]
    issuer: String,

    /// What a token's `aud` must contain. Given several times, one of them is enough.
    #[arg(long = "audience", value_name = "AUDIENCE", required = true)]
    audiences: Vec<String>,

    /// The client that this resource server is registered as.
    #[arg(long, value_name = "ID")]
    client_id: String,

    /// Where the proxy asks. Nobody else should reach it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9180")]
    listen: SocketAddr,

    /// What to answer about a good token while the revocation feed is away: 503, or what the provider says about this token.
    #[arg(long, value_name = "POLICY", value_enum, default_value_t = WhenStale::Refuse)]
    when_stale: WhenStale,

    /// By how many seconds clocks may differ when a token's dates are checked; at most 60.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=60))]
    leeway: u64,

    /// A file with certificates (PEM) to trust besides those of the system, for the connection to the provider.
    #[arg(long, value_name = "FILE")]
    root_certificate: Option<PathBuf>,

    /// Log also why each request is refused.
    #[arg(long, short)]
    verbose: bool,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// In words for an operator.
pub(super) async fn run(globals: &Globals, args: Args) -> anyhow::Result<()> {
    if globals.config.is_some() {
        return Err(usage("--config has no meaning here: forward-auth reads its own options and nothing else"));
    }
    let level = if args.verbose { LogLevel::Debug } else { LogLevel::Info };
    telemetry::init_logging(&Log { level, ..Log::default() });
    let client_secret = client_secret(environment())?;
    let root_certificate = match &args.root_certificate {
        Some(path) => Some(fs::read(path).with_context(|| format!("--root-certificate: cannot read {}", path.display()))?),
        None => None,
    };
    let settings = Settings {
        issuer: args.issuer.clone(),
        audiences: args.audiences,
        client_id: args.client_id,
        client_secret,
        when_stale: args.when_stale,
        leeway: Duration::from_secs(args.leeway),
        root_certificate,
    };
    let stop = server::stop_on_signals()?;
    let server = Server::bind(args.listen, &Tls::default()).await?.with_heads_up_to(MAX_HEAD);
    let address = server.address();
    let state = forward_auth::open(settings).await.map_err(|error| in_words(error, &args.issuer))?;
    tracing::info!(%address, issuer = args.issuer, "listening");
    let reporting = tokio::spawn(forward_auth::report(state.clone()));
    let served = server.serve(forward_auth::router(state), stop, DRAIN).await;
    reporting.abort();
    tracing::info!("stopped");
    served
}

/// The secret of the client. A variable that is empty is not set, as everywhere.
fn client_secret(environment: impl Iterator<Item = (String, String)>) -> anyhow::Result<Secret> {
    let (mut secret, mut file) = (None, None);
    for (name, value) in environment.filter(|(_, value)| !value.is_empty()) {
        match name.as_str() {
            SECRET => secret = Some(value),
            SECRET_FILE => file = Some(value),
            _ => {}
        }
    }
    match (secret, file) {
        (Some(_), Some(_)) => Err(usage(format!("{SECRET} is set, and so is {SECRET_FILE}; set one of the two"))),
        (Some(secret), None) => Ok(Secret::new(secret)),
        (None, Some(path)) => {
            let secret = secret_in_file(&path).map_err(|problem| anyhow!("{SECRET_FILE}: {problem}"))?;
            if secret.is_empty() { Err(anyhow!("{SECRET_FILE}: {path} is empty")) } else { Ok(Secret::new(secret)) }
        }
        (None, None) => {
            Err(usage(format!("the client's secret is missing: set {SECRET}, or {SECRET_FILE} to a file that holds it")))
        }
    }
}

/// What is wrong with the options, or with the provider that they lead to.
fn in_words(error: BuildError, issuer: &str) -> anyhow::Error {
    match error {
        BuildError::Http(HttpError::Url(_)) => {
            usage(format!("--issuer: `{issuer}` is not an https URL, nor http to this machine"))
        }
        BuildError::Http(HttpError::Roots) => {
            anyhow!("no trusted root certificate: the system has none, or --root-certificate is not a PEM file of certificates")
        }
        BuildError::Provider(ProviderError::Issuer(said)) => {
            anyhow!("--issuer is {issuer}, but the provider there calls itself {said}: write it in exactly the same way")
        }
        BuildError::Provider(ProviderError::Endpoint(name)) => {
            anyhow!("the provider at {issuer} has no revocation feed: its metadata lacks `{name}`")
        }
        other => anyhow::Error::new(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn the_secret_comes_from_the_environment_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name).display().to_string()
        };
        let (good, empty) = (file("good", "s3cret \r\n"), file("empty", "\n"));
        let gone = folder.path().join("gone").display().to_string();
        let table: [(Variables<'_>, Result<&str, &str>); 8] = [
            (&[(SECRET, "s3cret")], Ok("s3cret")),
            (&[(SECRET, "s3cret"), (SECRET_FILE, ""), ("TESSERA_ISSUER", "https://id.example")], Ok("s3cret")),
            (&[(SECRET_FILE, &good)], Ok("s3cret ")),
            (&[], Err("missing")),
            (&[(SECRET, "")], Err("missing")),
            (&[(SECRET, "a"), (SECRET_FILE, &good)], Err("one of the two")),
            (&[(SECRET_FILE, &empty)], Err("is empty")),
            (&[(SECRET_FILE, &gone)], Err("cannot read")),
        ];
        for (variables, expected) in table {
            let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
            match (client_secret(variables), expected) {
                (Ok(secret), Ok(expected)) => assert_eq!(secret.expose(), expected),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                (got, expected) => panic!("{:?} instead of {expected:?}", got.map(|_| ())),
            }
        }
    }
}
