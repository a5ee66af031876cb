//! Every key of the configuration and what it may be. A test holds this list against `Config`.

/// What a key's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text; what else it must be is checked in `validate`.
    Text,
    /// A path to a file.
    Path,
    /// An address with a port.
    Address,
    /// A whole number between these two, both allowed.
    Number(u32, u32),
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Texts; in the environment, with commas between them.
    Words,
    /// Networks; in the environment, with commas between them.
    Networks,
    /// An array of tables: in the file only.
    Tables,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// As in the file, with dots: `tokens.leeway`.
    pub path: &'static str,
    pub kind: Kind,
    /// Never shown, and may come from a file named by `<variable>_FILE`.
    pub secret: bool,
}

const HOUR: u32 = 3_600;
const DAY: u32 = 24 * HOUR;
const YEAR: u32 = 366 * DAY;

/// Bounds of an access or ID token's lifetime, the installation's or a client's: long enough to be of use, and short enough that a
/// resource server which never asks about revocation does little harm.
pub(super) const TOKEN_LIFETIME: (u32, u32) = (300, HOUR);

/// Bounds of a refresh token's lifetime, the installation's or a client's.
pub(super) const REFRESH_TOKEN_LIFETIME: (u32, u32) = (300, 5 * YEAR);

pub(super) const KEYS: &[Key] = &[
    key("issuer", Kind::Text),
    key("listen", Kind::Address),
    key("name", Kind::Text),
    key("trusted_proxies", Kind::Networks),
    key("metrics_listen", Kind::Address),
    key("drain_timeout", Kind::Number(0, HOUR)),
    secret("database.url"),
    key("database.max_connections", Kind::Number(1, 1_000)),
    key("database.durable", Kind::Switch),
    secret("redis.url"),
    key("redis.prefix", Kind::Text),
    secret("keys.master_key"),
    secret("keys.accepted_master_key"),
    key("keys.master_key_path", Kind::Path),
    key("keys.rotate_every", Kind::Number(HOUR, YEAR)),
    key("keys.publish_before", Kind::Number(1, YEAR)),
    key("keys.keep_retired", Kind::Number(1, 5 * YEAR)),
    key("tls.certificate", Kind::Path),
    key("tls.private_key", Kind::Path),
    key("log.format", Kind::Choice(&["auto", "human", "json"])),
    key("log.level", Kind::Choice(&["error", "warn", "info", "debug", "trace"])),
    key("log.audit_retention", Kind::Number(DAY, 20 * YEAR)),
    key("oauth.pkce", Kind::Choice(&["oauth-2.1", "required", "core"])),
    key("oauth.legacy_response_types", Kind::Switch),
    key("oauth.require_pushed_authorization_requests", Kind::Switch),
    key("oauth.legacy_client_assertion_audience", Kind::Switch),
    key("registration.mode", Kind::Choice(&["off", "token", "open"])),
    key("registration.pkce", Kind::Choice(&["oauth-2.1", "required", "core"])),
    key("registration.audiences", Kind::Words),
    key("registration.scopes", Kind::Words),
    key("registration.client_id_metadata_documents", Kind::Switch),
    key("registration.max_clients", Kind::Number(0, 10_000_000)),
    key("registration.per_address", Kind::Number(1, 1_000_000)),
    key("registration.unused_lifetime", Kind::Number(HOUR, YEAR)),
    key("outbound.allow_networks", Kind::Networks),
    key("outbound.extra_ca", Kind::Path),
    key("outbound.timeout", Kind::Number(1, 60)),
    key("outbound.max_bytes", Kind::Number(1_024, 16 * 1024 * 1024)),
    key("tokens.access_token_lifetime", Kind::Number(TOKEN_LIFETIME.0, TOKEN_LIFETIME.1)),
    key("tokens.id_token_lifetime", Kind::Number(TOKEN_LIFETIME.0, TOKEN_LIFETIME.1)),
    key("tokens.refresh_token_idle_lifetime", Kind::Number(REFRESH_TOKEN_LIFETIME.0, REFRESH_TOKEN_LIFETIME.1)),
    key("tokens.refresh_token_lifetime", Kind::Number(REFRESH_TOKEN_LIFETIME.0, REFRESH_TOKEN_LIFETIME.1)),
    key("tokens.refresh_retry_grace", Kind::Number(0, 60)),
    key("tokens.authorization_code_lifetime", Kind::Number(1, 60)),
    key("tokens.leeway", Kind::Number(0, 60)),
    key("tokens.status_list", Kind::Switch),
    key("sessions.lifetime", Kind::Number(300, YEAR)),
    key("sessions.idle_lifetime", Kind::Number(300, YEAR)),
    key("passwords.min_length", Kind::Number(8, 128)),
    key("passwords.memory_kib", Kind::Number(7_168, 4 * 1024 * 1024)),
    key("passwords.iterations", Kind::Number(1, 100)),
    key("passwords.parallelism", Kind::Number(1, 16)),
    key("passwords.queue", Kind::Number(1, 10_000)),
    key("limits.sign_in_per_account", Kind::Number(1, 1_000)),
    key("limits.sign_in_per_address", Kind::Number(1, 1_000_000)),
    key("limits.waiting_requests_per_address", Kind::Number(1, 100_000_000)),
    key("limits.pushed_requests_per_client", Kind::Number(1, 100_000_000)),
    key("limits.window", Kind::Number(1, DAY)),
    key("limits.revocation_streams", Kind::Number(1, 1_000_000)),
    key("scopes", Kind::Tables),
    key("clients", Kind::Tables),
];

/// The keys of a `[[scopes]]` table.
pub(super) const SCOPE_KEYS: &[&str] = &["name", "description", "claims"];

/// The keys of a `[[clients]]` table.
pub(super) const CLIENT_KEYS: &[&str] = &[
    "client_id",
    "client_secret",
    "client_name",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "application_type",
    "redirect_uris",
    "post_logout_redirect_uris",
    "grant_types",
    "token_endpoint_auth_method",
    "jwks",
    "scope",
    "id_token_signed_response_alg",
    "response_types",
    "token_endpoint_auth_signing_alg",
    "jwks_uri",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_signed_response_alg",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "request_object_signing_alg",
    "request_uris",
    "require_signed_request_object",
    "require_pushed_authorization_requests",
    "subject_type",
    "sector_identifier_uri",
    "default_max_age",
    "require_auth_time",
    "default_acr_values",
    "initiate_login_uri",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
    "frontchannel_logout_uri",
    "frontchannel_logout_session_required",
    "contacts",
    "software_id",
    "software_version",
    "localized",
    "token_exchange",
    "pkce",
    "skip_consent",
    "access_token_signed_response_alg",
    "access_token_lifetime",
    "id_token_lifetime",
    "refresh_token_lifetime",
    "audiences",
    "resource_server_for",
];

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind, secret: false }
}

const fn secret(path: &'static str) -> Key {
    Key { path, kind: Kind::Text, secret: true }
}

/// The key at this dotted path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

impl Key {
    /// The environment variable that sets this key; none for tables.
    pub(super) fn variable(&self) -> Option<String> {
        match self.path {
            "scopes" | "clients" => None,
            // The one that every deployment sets, so it is short; and the one that replaces it.
            "keys.master_key" => Some("TESSERA_MASTER_KEY".to_owned()),
            "keys.accepted_master_key" => Some("TESSERA_ACCEPTED_MASTER_KEY".to_owned()),
            path => Some(format!("TESSERA_{}", path.replace('.', "_").to_uppercase())),
        }
    }
}

impl Kind {
    /// What would be right, in words that follow "must be".
    pub(super) fn wanted(self) -> String {
        match self {
            Self::Text => "text in quotes".to_owned(),
            Self::Path => "a path in quotes".to_owned(),
            Self::Address => "an address and a port, such as \"127.0.0.1:8000\" or \"[::]:8000\"".to_owned(),
            Self::Number(min, max) => format!("a whole number from {min} to {max}"),
            Self::Switch => "true or false".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Words => "a list of texts, such as [\"https://api.example\"]".to_owned(),
            Self::Networks => "a list of networks, such as [\"10.0.0.0/8\", \"fd00::/8\"]".to_owned(),
            Self::Tables => "tables, each under its own [[…]] line".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::{Config, CustomScope, DeclaredClient};
    use super::*;
    use crate::model::client::{ClientAlgorithm, ContentEncryption, KeyManagement};
    use crate::model::{Algorithm, ClientMetadata};

    fn names(value: &Value) -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    fn list(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|&key| key.to_owned()).collect()
    }

    /// With every optional key set: a struct literal, so that a new field does not compile until someone looks here.
    fn full_metadata() -> ClientMetadata {
        let text = || Some(String::new());
        ClientMetadata {
            client_name: text(),
            client_uri: text(),
            logo_uri: text(),
            policy_uri: text(),
            tos_uri: text(),
            jwks: Some(Value::Null),
            jwks_uri: text(),
            token_endpoint_auth_signing_alg: Some(ClientAlgorithm::Es256),
            id_token_encrypted_response_alg: Some(KeyManagement::EcdhEs),
            id_token_encrypted_response_enc: Some(ContentEncryption::A128Gcm),
            userinfo_signed_response_alg: Some(Algorithm::Es256),
            userinfo_encrypted_response_alg: Some(KeyManagement::EcdhEs),
            userinfo_encrypted_response_enc: Some(ContentEncryption::A128Gcm),
            request_object_signing_alg: Some(ClientAlgorithm::Es256),
            sector_identifier_uri: text(),
            default_max_age: Some(1),
            initiate_login_uri: text(),
            backchannel_logout_uri: text(),
            frontchannel_logout_uri: text(),
            software_id: text(),
            software_version: text(),
            localized: [(String::new(), String::new())].into(),
            pkce: Some(Default::default()),
            access_token_lifetime: Some(1),
            id_token_lifetime: Some(1),
            refresh_token_lifetime: Some(1),
            ..ClientMetadata::default()
        }
    }

    #[test]
    fn the_list_of_keys_is_that_of_the_struct() {
        let mut config = Config::default();
        config.metrics_listen = Some(config.listen);
        config.redis.url = Some(String::new());
        config.keys.master_key = Some(String::new());
        config.keys.accepted_master_key = Some(String::new());
        config.keys.keep_retired = Some(1);
        config.outbound.extra_ca = Some("x".into());
        config.tls.certificate = Some("x".into());
        config.tls.private_key = Some("x".into());
        let mut paths = BTreeSet::new();
        for (name, value) in serde_json::to_value(&config).unwrap().as_object().unwrap() {
            match value.as_object() {
                Some(section) => paths.extend(section.keys().map(|key| format!("{name}.{key}"))),
                None => assert!(paths.insert(name.clone())),
            }
        }
        assert_eq!(paths, list(&KEYS.iter().map(|key| key.path).collect::<Vec<_>>()));
    }

    #[test]
    fn the_keys_of_tables_are_those_of_the_structs() {
        let scope = CustomScope { name: String::new(), description: String::new(), claims: Vec::new() };
        assert_eq!(names(&serde_json::to_value(scope).unwrap()), list(SCOPE_KEYS));
        let client = DeclaredClient { client_id: String::new(), client_secret: Some(String::new()), metadata: full_metadata() };
        assert_eq!(names(&serde_json::to_value(client).unwrap()), list(CLIENT_KEYS));
        // An unknown key makes serde list those it knows, optional ones as well.
        let error = serde_json::from_str::<ClientMetadata>("{\"?\":1}").unwrap_err().to_string();
        let known = CLIENT_KEYS.iter().filter(|key| error.contains(&format!("`{key}`"))).count();
        assert_eq!((known, error.matches('`').count() / 2 - 1), (CLIENT_KEYS.len() - 2, CLIENT_KEYS.len() - 2), "{error}");
    }

    #[test]
    fn each_variable_sets_one_key() {
        let variables: Vec<String> = KEYS.iter().filter_map(Key::variable).collect();
        assert_eq!(variables.iter().collect::<BTreeSet<_>>().len(), variables.len());
        assert!(variables.contains(&"TESSERA_DATABASE_URL".to_owned()));
        assert!(variables.iter().all(|name| !name.ends_with("_FILE")), "or it could be taken for a secret's file");
    }
}
