//! The installation that is measured: an account for each connection that signs in, and a client for each scenario.

use std::net::SocketAddr;

use anyhow::Result;

use crate::installation::{Installation, REDIRECT_URI, SECRET, Storage};

/// One account for each connection that signs in.
pub const ACCOUNTS: usize = 16;
/// Their password.
pub const PASSWORD: &str = "correct-horse-battery-staple";

/// Makes it.
pub async fn installation(storage: &Storage) -> Result<Installation> {
    let installation = Installation::make(storage, configuration).await?;
    for account in 0..ACCOUNTS {
        installation.command(&["user", "add", &email(account), "--password-stdin"], PASSWORD)?;
    }
    Ok(installation)
}

/// The address by which an account signs in.
pub fn email(account: usize) -> String {
    format!("person{account}@example.com")
}

/// Defaults, but for the limits on sign-ins: all of them come from one address here, and the point is how many it can take.
fn configuration(address: SocketAddr) -> String {
    let client = |id: &str, rest: &str| format!("[[clients]]\nclient_id = \"{id}\"\nclient_secret = \"{SECRET}\"\n{rest}\n");
    let service = "grant_types = [\"client_credentials\"]\naudiences = [\"https://api.example\"]\nscope = \"\"\n";
    [
        format!("issuer = \"http://{address}\"\nlisten = \"{address}\"\n"),
        "[limits]\nsign_in_per_account = 1000\nsign_in_per_address = 1000000\n".to_owned(),
        client("service-es256", service),
        client("service-rs256", &format!("{service}access_token_signed_response_alg = \"RS256\"\n")),
        client("app", &format!("redirect_uris = [\"{REDIRECT_URI}\"]\nskip_consent = true\n")),
        client("api", "grant_types = []\nresource_server_for = [\"https://api.example\"]\n"),
    ]
    .join("\n")
}
