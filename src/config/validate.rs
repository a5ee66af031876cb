//! What a value's type cannot say: whether it makes sense, and makes sense beside the others.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use url::{Host, Url};

use super::client_rules::{STANDARD_SCOPES, check_client};
use super::{Config, CustomScope, Passwords, key_rules};
use crate::model::ScopeSet;

/// Claims that the protocol itself puts into tokens or userinfo, which a custom scope must not replace.
const PROTOCOL_CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "scope",
    "sid",
    "auth_time",
    "acr",
    "amr",
    "azp",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "cnf",
    "act",
    "may_act",
    "status",
    "events",
    "roles",
    "groups",
    "email_verified",
    "phone_number_verified",
];

/// The least that argon2id should cost: memory in KiB and iterations, at any parallelism (OWASP Password Storage Cheat Sheet).
const ARGON2_MINIMUMS: &[(u32, u32)] = &[(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// Every key whose value cannot be, and why. What is allowed but doubtful goes to `warnings`.
pub(super) fn validate(config: &Config, warnings: &mut Vec<String>) -> Vec<(String, String)> {
    let mut problems: Vec<(&str, String)> = Vec::new();
    let mut check = |key, result: Result<(), String>| problems.extend(result.err().map(|what| (key, what)));
    check("issuer", issuer(&config.issuer));
    check("name", name(&config.name));
    check("metrics_listen", metrics_listen(config));
    check("database.url", database_url(&config.database.url));
    check("redis.url", config.redis.url.as_deref().map_or(Ok(()), redis_url));
    check("redis.prefix", redis_prefix(&config.redis.prefix));
    check("keys.master_key", config.keys.master_key.as_deref().map_or(Ok(()), master_key));
    check("keys.accepted_master_key", config.keys.accepted_master_key.as_deref().map_or(Ok(()), master_key));
    check("keys.accepted_master_key", key_rules::accepted_master_key(&config.keys));
    check("keys.publish_before", key_rules::publish_before(config));
    check("keys.keep_retired", key_rules::keep_retired(config));
    check(
        "tls.certificate",
        both_or_neither(config.tls.certificate.is_none() && config.tls.private_key.is_some(), "certificate"),
    );
    check(
        "tls.private_key",
        both_or_neither(config.tls.private_key.is_none() && config.tls.certificate.is_some(), "private_key"),
    );
    check("passwords.memory_kib", argon2_cost(&config.passwords));
    let tokens = &config.tokens;
    check(
        "tokens.refresh_token_idle_lifetime",
        at_most(tokens.refresh_token_idle_lifetime, tokens.refresh_token_lifetime, "tokens.refresh_token_lifetime"),
    );
    check("registration.scopes", registration_scopes(config));
    check("sessions.idle_lifetime", at_most(config.sessions.idle_lifetime, config.sessions.lifetime, "sessions.lifetime"));
    let mut problems: Vec<(String, String)> = problems.into_iter().map(|(key, what)| (key.to_owned(), what)).collect();
    problems.extend(scopes(&config.scopes));
    problems.extend(clients(config));
    doubts(config, warnings);
    problems
}

pub(super) fn refuse_if(wrong: bool, what: &str) -> Result<(), String> {
    if wrong { Err(what.to_owned()) } else { Ok(()) }
}

fn issuer(issuer: &str) -> Result<(), String> {
    let example = "such as \"https://id.example.com\"";
    let url = Url::parse(issuer).map_err(|_| format!("is not a URL; it must be one {example}"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err("uses http on a host that is not loopback; it must begin with https://".to_owned()),
        _ => return Err(format!("must begin with https://, {example}")),
    }
    refuse_if(!url.username().is_empty() || url.password().is_some(), "has a user name; leave out what stands before the @")?;
    refuse_if(url.query().is_some(), "has a query; leave out the ? and what follows")?;
    refuse_if(url.fragment().is_some(), "has a fragment; leave out the # and what follows")?;
    refuse_if(issuer.ends_with('/'), "ends with a slash; leave it out")?;
    // Relying parties compare character by character, so there must be one way to write it.
    let normal = url.as_str().trim_end_matches('/');
    refuse_if(normal != issuer, &format!("is not in its normal form; write \"{normal}\""))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn name(name: &str) -> Result<(), String> {
    let wrong = name.trim().is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control);
    refuse_if(wrong, "must have 1 to 100 characters, on one line")
}

fn metrics_listen(config: &Config) -> Result<(), String> {
    // Port 0 is a different free port each time.
    let taken = |metrics: SocketAddr| metrics.port() != 0 && metrics == config.listen;
    refuse_if(config.metrics_listen.is_some_and(taken), "is the same as listen; it must be another address or port")
}

fn database_url(url: &str) -> Result<(), String> {
    let file = url.strip_prefix("sqlite:").is_some_and(|path| !path.is_empty());
    let server = (url.starts_with("postgres://") || url.starts_with("postgresql://")) && Url::parse(url).is_ok();
    refuse_if(
        !file && !server,
        "is not the URL of a database; it must be sqlite:<path> or postgres://<user>:<password>@<host>/<name>, where a password \
         with special characters is percent-encoded",
    )
}

fn redis_url(url: &str) -> Result<(), String> {
    let right = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "redis" | "rediss") && url.has_host());
    refuse_if(!right, "is not the URL of a Redis server; it must be redis://<host>:<port>/<database>, or rediss:// for TLS")
}

fn redis_prefix(prefix: &str) -> Result<(), String> {
    let right = prefix.len() <= 100 && prefix.bytes().all(|b| b.is_ascii_graphic());
    refuse_if(!right, "must have at most 100 characters, without spaces")
}

fn master_key(key: &str) -> Result<(), String> {
    let decoded = URL_SAFE_NO_PAD.decode(key).or_else(|_| URL_SAFE.decode(key));
    let right = decoded.is_ok_and(|bytes| bytes.len() == 32);
    refuse_if(!right, "is not 32 bytes in base64url (43 characters); `openssl rand -base64 32 | tr '+/' '-_'` makes one")
}

fn both_or_neither(missing: bool, name: &str) -> Result<(), String> {
    refuse_if(missing, &format!("{name} is missing; set certificate and private_key, or neither"))
}

fn argon2_cost(passwords: &Passwords) -> Result<(), String> {
    let enough =
        ARGON2_MINIMUMS.iter().any(|&(memory, iterations)| passwords.memory_kib >= memory && passwords.iterations >= iterations);
    refuse_if(
        !enough,
        "is too little for so few iterations; it must be at least 47104 with 1, 19456 with 2, 12288 with 3, 9216 with 4, 7168 with 5",
    )
}

fn registration_scopes(config: &Config) -> Result<(), String> {
    let known =
        |name: &String| STANDARD_SCOPES.contains(&name.as_str()) || config.scopes.iter().any(|custom| custom.name == *name);
    let unknown = config.registration.scopes.iter().find(|name| !known(name));
    unknown.map_or(Ok(()), |name| Err(format!("there is no scope {name}; define it under [[scopes]]")))
}

fn at_most(value: u32, limit: u32, limit_key: &str) -> Result<(), String> {
    refuse_if(value > limit, &format!("{value} is more than {limit_key}, which is {limit}; it must be at most that"))
}

fn scopes(scopes: &[CustomScope]) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (i, scope) in scopes.iter().enumerate() {
        let mut check = |key: &str, result: Result<(), String>| {
            problems.extend(result.err().map(|what| (format!("scopes[{i}].{key}"), what)));
        };
        let name = scope.name.as_str();
        let well_formed = !name.is_empty() && !name.contains(' ') && ScopeSet::parse(name).is_some();
        check(
            "name",
            refuse_if(!well_formed, "must be one word of printable ASCII without quotes and backslashes (RFC 6749 §3.3)"),
        );
        check("name", refuse_if(STANDARD_SCOPES.contains(&name), &format!("{name} is a standard scope; choose another name")));
        check("name", refuse_if(!seen.insert(name), &format!("{name} is there twice; each scope must have its own name")));
        check("description", refuse_if(scope.description.trim().is_empty(), "is empty; say what the scope lets an app do"));
        for claim in &scope.claims {
            let reserved = PROTOCOL_CLAIMS.contains(&claim.as_str());
            check("claims", refuse_if(reserved, &format!("{claim} belongs to the protocol; choose another name")));
            check("claims", refuse_if(claim.trim().is_empty(), "has an empty name"));
        }
    }
    problems
}

fn clients(config: &Config) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (i, client) in config.clients.iter().enumerate() {
        let key = format!("clients[{i}]");
        let id = client.client_id.as_str();
        if !seen.insert(id) {
            problems.push((key.clone(), format!("the client_id {id} is there twice; each client must have its own")));
        }
        if client.client_secret.as_ref().is_some_and(|secret| secret.chars().count() < 32) {
            let what = "is shorter than 32 characters; `openssl rand -hex 32` makes a good one".to_owned();
            problems.push((format!("{key}.client_secret"), what));
        }
        let broken = check_client(id, client.client_secret.is_some(), &client.metadata, config).err().unwrap_or_default();
        problems.extend(broken.into_iter().map(|what| (key.clone(), what)));
    }
    problems
}

fn doubts(config: &Config, warnings: &mut Vec<String>) {
    let mut warn = |doubtful: bool, text: &str| {
        if doubtful {
            warnings.push(text.to_owned());
        }
    };
    let https = config.issuer.starts_with("https://");
    let open = !config.listen.ip().is_loopback();
    warn(
        !config.database.url.starts_with("sqlite:") && config.redis.url.is_none(),
        "PostgreSQL without Redis: several replicas learn of each other's revocations by polling the database, and each counts failed \
         sign-ins for itself; set redis.url to have both at once",
    );
    warn(
        https && open && config.tls.certificate.is_none() && config.trusted_proxies.is_empty(),
        "the issuer is https, but neither tls.certificate nor trusted_proxies is set: a proxy that ends TLS must be listed in \
         trusted_proxies, or every sign-in seems to come from the proxy's address",
    );
    warn(!https && open, "the issuer is http on loopback, but listen is reachable from other machines");
    warn(
        config.oauth.legacy_response_types,
        "oauth.legacy_response_types is on: clients that registered for it have tokens straight from the authorization endpoint, where \
         browser histories, logs and scripts can take them; RFC 9700 §2.1.2 says not to, and code with PKCE does the same safely",
    );
    warn(
        config.trusted_proxies.iter().any(|network| network.prefix_len() == 0),
        "trusted_proxies holds every address: anyone can then say which address they come from, and get around the limits",
    );
}
