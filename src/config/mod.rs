//! One validated configuration, made once at start: defaults, then `tessera.toml`, then `TESSERA_*`. Here is what there is;
//! `load` reads it, `validate` checks what one value cannot say about itself.

mod client_rules;
mod defaults;
mod environment;
mod file;
mod key_rules;
mod keys;
mod load;
mod masking;
mod problem;
mod show;
#[cfg(test)]
mod tests;
mod validate;

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::ScopeSet;
use crate::model::client::{ClientMetadata, PkcePolicy};

pub use client_rules::{LOCALIZED, LONGEST_AUDIENCE, MOST_AUDIENCES, STANDARD_SCOPES, check_client, is_language_tag};
pub use environment::secret_in_file;
pub use key_rules::{JWKS_MAX_AGE, REPLICAS_DIFFER};
pub use load::{Effective, Source, load};
pub use problem::{ConfigError, Problem};

/// Everything an operator can set. All times are whole seconds. `keys` lists every key with what it may be.
///
/// Four of the parts hold secrets; their `Debug` in `masking` does not print them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where people and apps reach this provider: `iss` in every token. `https`, except on loopback. No trailing slash.
    pub issuer: String,
    /// Where the provider listens.
    pub listen: SocketAddr,
    /// Shown on pages: whose sign-in this is.
    pub name: String,
    /// The addresses of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where Prometheus metrics are served; nowhere when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_listen: Option<SocketAddr>,
    /// How long running requests may take to finish after SIGTERM.
    pub drain_timeout: u32,
    pub database: Database,
    pub redis: Redis,
    pub keys: Keys,
    pub tls: Tls,
    pub log: Log,
    pub oauth: OAuth,
    pub registration: Registration,
    pub outbound: Outbound,
    pub tokens: Tokens,
    pub sessions: Sessions,
    pub passwords: Passwords,
    pub limits: Limits,
    /// Scope values of the operator's own.
    pub scopes: Vec<CustomScope>,
    /// Clients that are applied at each start.
    pub clients: Vec<DeclaredClient>,
}

/// `[database]`
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite:<path>` or `postgres://user:password@host/name`. Secret, since it may hold a password.
    pub url: String,
    /// Connections to PostgreSQL at most.
    pub max_connections: u32,
    /// SQLite: an acknowledged commit survives power loss (`synchronous = FULL`). Off is faster.
    pub durable: bool,
}

/// `[redis]`
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// `redis://…` or `rediss://…`; secret. Without it, the denylist and the rate limits live in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Put before every key.
    pub prefix: String,
}

/// `[keys]`
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// The key-encryption key, 256 bits in base64url; secret. Usually `TESSERA_MASTER_KEY` or `TESSERA_MASTER_KEY_FILE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key: Option<String>,
    /// Opens what was sealed under it and seals nothing: the new key before a change of `master_key`, and the old one after it. Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_master_key: Option<String>,
    /// Where the key-encryption key of an embedded installation is kept: made on first start.
    pub master_key_path: PathBuf,
    /// How long a signing key signs.
    pub rotate_every: u32,
    /// A successor must have been published at least this long before it signs.
    pub publish_before: u32,
    /// How long a key that signs no more stays published. Worked out (`Config::keep_retired`) when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_retired: Option<u32>,
}

/// `[tls]`: both or neither.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM, leaf first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PathBuf>,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: LogLevel,
    /// Audit events are forgotten after this.
    pub audit_retention: u32,
}

/// `auto` is `human` on a terminal and `json` otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Auto,
    Human,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// `[oauth]`: protocol policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OAuth {
    /// Who must send a `code_challenge`: `oauth-2.1`, `required` or `core`. A client may have its own.
    pub pkce: PkcePolicy,
    /// Response types that carry tokens through the browser, for clients that registered them. RFC 9700 §2.1.2 warns of them.
    pub legacy_response_types: bool,
    /// RFC 9126 §5: every authorization request must have been pushed.
    pub require_pushed_authorization_requests: bool,
    /// Client assertions may name an endpoint of ours as their audience, as OpenID Connect Core §9 has it. RFC 10070 §4 forbids that.
    pub legacy_client_assertion_audience: bool,
}

/// `[registration]`: apps that make themselves known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// Who may register a client (RFC 7591 §3): nobody, whoever has an initial access token, or everybody.
    pub mode: RegistrationMode,
    /// The PKCE policy of confidential clients that register themselves: they know OpenID Connect Core alone.
    pub pkce: PkcePolicy,
    /// The audiences (RFC 8707) for which clients that nobody vouched for may ask tokens.
    pub audiences: Vec<String>,
    /// Scope values of the operator's own, and `roles` and `groups`, that clients that nobody vouched for may ask for too.
    pub scopes: Vec<String>,
    /// Whether a `client_id` may be the URL of a metadata document.
    pub client_id_metadata_documents: bool,
    /// Clients that nobody vouched for, at most.
    pub max_clients: u32,
    /// Registrations from one address within `limits.window`.
    pub per_address: u32,
    /// A client that nobody vouched for is forgotten when it has had no token for this long.
    pub unused_lifetime: u32,
}

impl Registration {
    /// The scope values that clients that nobody vouched for may ask for.
    pub fn allowed_scope(&self) -> ScopeSet {
        ClientMetadata::default().scope.union(&self.scopes.iter().cloned().collect())
    }
}

/// `[registration] mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationMode {
    Off,
    Token,
    Open,
}

/// `[outbound]`: what is fetched from others, such as `jwks_uri`, and the calls of back-channel logout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outbound {
    /// Networks that may be reached although they are private, loopback or link-local.
    pub allow_networks: Vec<IpNet>,
    /// A PEM file with certificates of authorities that are trusted beside the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_ca: Option<PathBuf>,
    /// A whole fetch, from the look-up of the name to the last byte.
    pub timeout: u32,
    /// The longest answer that is read, in bytes.
    pub max_bytes: u32,
}

/// `[tokens]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// 300 to 3600.
    pub access_token_lifetime: u32,
    pub id_token_lifetime: u32,
    /// A refresh token that is not used for this long expires.
    pub refresh_token_idle_lifetime: u32,
    /// A family of refresh tokens ends after this, used or not.
    pub refresh_token_lifetime: u32,
    /// Within this time a retried refresh gets the same successor. 0 turns it off; at most 60.
    pub refresh_retry_grace: u32,
    /// 1 to 60 (OAuth 2.1 §4.1.2).
    pub authorization_code_lifetime: u32,
    /// How much two clocks may differ when a token of another party is checked.
    pub leeway: u32,
    /// Each access token has a place in a Token Status List, for verifiers that poll. Costs a row for each.
    pub status_list: bool,
}

/// `[sessions]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// A sign-in ends after this.
    pub lifetime: u32,
    /// A sign-in that is not used for this long ends.
    pub idle_lifetime: u32,
}

/// `[passwords]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Passwords {
    pub min_length: u32,
    /// argon2id memory, in KiB.
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
    /// Sign-ins that may wait for a core before the next gets 503.
    pub queue: u32,
}

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Failures for one account within `window`, after which it must wait.
    pub sign_in_per_account: u32,
    /// Failures from one address within `window`, after which it must wait.
    pub sign_in_per_address: u32,
    /// Authorization requests from one address within `window` that wait for a person; each takes room in the database.
    pub waiting_requests_per_address: u32,
    /// Authorization requests that one client that authenticates may push (RFC 9126) within `window`.
    pub pushed_requests_per_client: u32,
    pub window: u32,
    /// Receivers of the revocation feed that one replica serves at once.
    pub revocation_streams: u32,
}

/// `[[scopes]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomScope {
    pub name: String,
    /// What it lets an app do, in words for the consent page: "See your invoices".
    pub description: String,
    /// Custom claims of the person that userinfo gives for it.
    #[serde(default)]
    pub claims: Vec<String>,
}

/// `[[clients]]`
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct DeclaredClient {
    pub client_id: String,
    /// At least 32 characters; secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    #[serde(flatten)]
    pub metadata: ClientMetadata,
}
