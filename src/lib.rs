//! Tessera, an OpenID Connect provider whose tokens can be taken back. The map of the house:
#![forbid(unsafe_code)]

pub mod app; // App: what a request may need
pub mod cli; // one file per command
pub mod client_cache; // clients in memory, for a second
pub mod clock; // the only source of time
pub mod config; // defaults + file + environment -> one validated Config
pub mod demo; // `tessera demo`: the provider, an app and an API in one process
pub mod error; // OAuthError (protocol) and PageError (people); nothing else reaches a client
pub mod forward_auth; // `tessera forward-auth`: answers a reverse proxy, for apps without a library
pub mod http; // what every endpoint shares: cookies, CSRF, client address, rate limits, headers
pub mod jobs; // periodic work
pub mod keyring; // signing keys: the only home of josekit, rsa and p256
pub mod lifecycle; // what begins, changes and ends: one transaction each, with its revocations and its audit
pub mod model; // the nouns, as plain data
pub mod oidc; // the protocol endpoints
pub mod outbound; // the one HTTP client for what strangers name: public addresses only, with bounds
pub mod pages; // browser pages for people
pub mod password; // argon2id with admission control: the only home of argon2
pub mod revocation; // the log, the denylists, the cut-offs
pub mod root_secret; // the secret from which keys for keyed hashes are derived
pub mod router; // every URL on one screen
pub mod server; // sockets: bind, serve, drain
pub mod store; // SQL for both engines: the only home of sqlx queries
pub mod telemetry; // logs and metrics

#[cfg(test)]
mod testing; // what unit tests share
