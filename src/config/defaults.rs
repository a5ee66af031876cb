//! What holds where an operator says nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{
    Config, Database, Keys, Limits, Log, LogFormat, LogLevel, OAuth, Outbound, Passwords, Redis, Registration, RegistrationMode,
    Sessions, Tls, Tokens,
};
use crate::model::client::PkcePolicy;

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: "http://localhost:8000".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            name: "Tessera".to_owned(),
            trusted_proxies: Vec::new(),
            metrics_listen: None,
            drain_timeout: 20,
            database: Database::default(),
            redis: Redis::default(),
            keys: Keys::default(),
            tls: Tls::default(),
            log: Log::default(),
            oauth: OAuth::default(),
            registration: Registration::default(),
            outbound: Outbound::default(),
            tokens: Tokens::default(),
            sessions: Sessions::default(),
            passwords: Passwords::default(),
            limits: Limits::default(),
            scopes: Vec::new(),
            clients: Vec::new(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url: "sqlite:data/tessera.db".to_owned(), max_connections: 10, durable: true }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self { url: None, prefix: "tessera:".to_owned() }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            master_key: None,
            accepted_master_key: None,
            master_key_path: PathBuf::from("keys/master.key"),
            rotate_every: 30 * 86_400,
            publish_before: 86_400,
            keep_retired: None,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: LogLevel::Info, audit_retention: 366 * 86_400 }
    }
}

impl Default for OAuth {
    fn default() -> Self {
        Self {
            pkce: PkcePolicy::OAuth21,
            legacy_response_types: false,
            require_pushed_authorization_requests: false,
            legacy_client_assertion_audience: false,
        }
    }
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            mode: RegistrationMode::Off,
            pkce: PkcePolicy::Core,
            audiences: Vec::new(),
            scopes: Vec::new(),
            client_id_metadata_documents: false,
            max_clients: 10_000,
            per_address: 50,
            unused_lifetime: 30 * 86_400,
        }
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Self { allow_networks: Vec::new(), extra_ca: None, timeout: 5, max_bytes: 65_536 }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            access_token_lifetime: 600,
            id_token_lifetime: 600,
            refresh_token_idle_lifetime: 30 * 86_400,
            refresh_token_lifetime: 365 * 86_400,
            refresh_retry_grace: 10,
            authorization_code_lifetime: 60,
            leeway: 30,
            status_list: false,
        }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self { lifetime: 30 * 86_400, idle_lifetime: 7 * 86_400 }
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self { min_length: 8, memory_kib: 19_456, iterations: 2, parallelism: 1, queue: 64 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sign_in_per_account: 10,
            sign_in_per_address: 50,
            waiting_requests_per_address: 2_000,
            pushed_requests_per_client: 20_000,
            window: 900,
            revocation_streams: 20_000,
        }
    }
}
