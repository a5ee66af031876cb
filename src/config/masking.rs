//! Keeps secrets of the configuration out of logs, errors and `config show`.

use std::fmt;

use super::{Database, DeclaredClient, Keys, Redis};

/// What stands for a secret.
pub(super) const MASK: &str = "********";

/// A connection URL without its password, be it before the host or among the parameters.
///
/// Works on the text alone, since a password that was not percent-encoded makes the URL parse as something else.
pub(super) fn mask_url(url: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    // With an `@` after the `?`, that may have been a part of the password.
    if query.is_some_and(|query| query.contains('@')) {
        return MASK.to_owned();
    }
    let masked = match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, rest)), Some((_, host))) => {
            let user = rest.split([':', '@']).next().unwrap_or("");
            format!("{scheme}://{user}:{MASK}@{host}")
        }
        _ => address.to_owned(),
    };
    let Some(query) = query else { return masked };
    let parameters: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("password") => format!("{name}={MASK}"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{masked}?{}", parameters.join("&"))
}

fn mask<T>(secret: &Option<T>) -> Option<&'static str> {
    secret.as_ref().map(|_| MASK)
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, max_connections, durable } = self;
        let mut text = f.debug_struct("Database");
        text.field("url", &mask_url(url)).field("max_connections", max_connections).field("durable", durable).finish()
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, prefix } = self;
        f.debug_struct("Redis").field("url", &url.as_deref().map(mask_url)).field("prefix", prefix).finish()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { master_key, accepted_master_key, master_key_path, rotate_every, publish_before, keep_retired } = self;
        f.debug_struct("Keys")
            .field("master_key", &mask(master_key))
            .field("accepted_master_key", &mask(accepted_master_key))
            .field("master_key_path", master_key_path)
            .field("rotate_every", rotate_every)
            .field("publish_before", publish_before)
            .field("keep_retired", keep_retired)
            .finish()
    }
}

impl fmt::Debug for DeclaredClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client_id, client_secret, metadata } = self;
        let mut text = f.debug_struct("DeclaredClient");
        text.field("client_id", client_id).field("client_secret", &mask(client_secret)).field("metadata", metadata).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use crate::model::ClientMetadata;

    #[test]
    fn only_the_password_of_a_url_is_masked() {
        assert_eq!(mask_url("postgres://u:secret@db.example/t"), "postgres://u:********@db.example/t");
        assert_eq!(mask_url("postgres://u:se@cr/et@db.example/t"), "postgres://u:********@db.example/t");
        assert_eq!(mask_url("rediss://:secret@cache:6379/0"), "rediss://:********@cache:6379/0");
        assert_eq!(mask_url("postgres://db/t?user=u&password=secret"), "postgres://db/t?user=u&password=********");
        assert_eq!(mask_url("postgres://u:se?cret@db.example/t"), MASK);
        assert_eq!(mask_url("sqlite:data/tessera.db"), "sqlite:data/tessera.db");
    }

    #[test]
    fn no_secret_is_printed() {
        let mut config = Config::default();
        config.database.url = "postgres://u:topsecret@db/t".to_owned();
        config.redis.url = Some("redis://:topsecret@cache".to_owned());
        config.keys.master_key = Some("topsecret".to_owned());
        config.keys.accepted_master_key = Some("topsecret".to_owned());
        let client_secret = Some("topsecret".to_owned());
        config.clients.push(DeclaredClient { client_id: "app".to_owned(), client_secret, metadata: ClientMetadata::default() });
        let printed = format!("{config:?}");
        assert!(!printed.contains("topsecret"), "{printed}");
        assert_eq!(printed.matches(MASK).count(), 5);
    }
}
