//! What a route asks of a token beyond being good: the query of `/verify`, which the operator writes into the proxy's configuration.

use std::borrow::Cow;

use axum::http::HeaderValue;
use tessera_verifier::Token;

use crate::http::form_encoding;

/// Scopes and roles, all of which are required.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Requirements<'q> {
    scopes: Vec<Cow<'q, str>>,
    roles: Vec<Cow<'q, str>>,
}

/// Why a query says nothing. It is the proxy's configuration that is wrong, so nothing may pass: what the operator meant to require
/// is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misconfigured {
    #[error("the query has a parameter other than scope and role")]
    Unknown,
    #[error("the query has a scope without a value, or one that no token can have")]
    Scope,
    #[error("the query has a role without a value")]
    Role,
    #[error("the query is not well-formed")]
    Encoding,
}

/// What a token lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lacks {
    Scope,
    Role,
}

impl<'q> Requirements<'q> {
    /// Reads `scope=a&scope=b&role=c`.
    pub(super) fn parse(query: &'q str) -> Result<Self, Misconfigured> {
        let mut requirements = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = form_encoding::decode(value.as_bytes()).map_err(|_| Misconfigured::Encoding)?;
            match name {
                "scope" if is_scope(&value) => requirements.scopes.push(value),
                "scope" => return Err(Misconfigured::Scope),
                "role" if !value.is_empty() => requirements.roles.push(value),
                "role" => return Err(Misconfigured::Role),
                _ => return Err(Misconfigured::Unknown),
            }
        }
        Ok(requirements)
    }

    /// The first kind of thing that the token lacks.
    pub(super) fn lacking(&self, token: &Token) -> Option<Lacks> {
        if !self.scopes.iter().all(|scope| token.has_scope(scope)) {
            return Some(Lacks::Scope);
        }
        if self.roles.is_empty() {
            return None;
        }
        let has = token.roles();
        let all = self.roles.iter().all(|role| has.iter().any(|name| name == role));
        (!all).then_some(Lacks::Role)
    }

    /// `WWW-Authenticate` for a token that lacks something (RFC 6750 §3.1). Scopes are named; roles are nobody else's business.
    pub(super) fn challenge(&self, lacks: Lacks) -> HeaderValue {
        let plain = "Bearer realm=\"api\", error=\"insufficient_scope\"";
        let value = match lacks {
            Lacks::Role => format!("{plain}, error_description=\"a role is missing\""),
            Lacks::Scope => {
                format!("{plain}, error_description=\"a scope is missing\", scope=\"{}\"", self.scopes.join(" "))
            }
        };
        HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

/// `scope-token` of RFC 6749 §3.3. None of its characters ends a quoted string.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_whole_or_not_at_all() {
        let of = |scopes: &[&'static str], roles: &[&'static str]| {
            let texts = |names: &[&'static str]| names.iter().map(|&name| Cow::Borrowed(name)).collect();
            Ok(Requirements { scopes: texts(scopes), roles: texts(roles) })
        };
        let cases = [
            ("", of(&[], &[])),
            ("&", of(&[], &[])),
            ("scope=orders:read", of(&["orders:read"], &[])),
            ("scope=a&role=Sales+Team&scope=b%3Ac&role=d", of(&["a", "b:c"], &["Sales Team", "d"])),
            ("scope=a+b", Err(Misconfigured::Scope)),
            ("scope=", Err(Misconfigured::Scope)),
            ("scope", Err(Misconfigured::Scope)),
            ("scope=%22", Err(Misconfigured::Scope)),
            ("scope=%0d%0aX-Auth-Subject:x", Err(Misconfigured::Scope)),
            ("role=", Err(Misconfigured::Role)),
            ("scopes=a", Err(Misconfigured::Unknown)),
            ("Scope=a", Err(Misconfigured::Unknown)),
            ("scope=a&x=y", Err(Misconfigured::Unknown)),
            ("scope=%f", Err(Misconfigured::Encoding)),
            ("role=%ff", Err(Misconfigured::Encoding)),
            ("role=%00", Err(Misconfigured::Encoding)),
        ];
        for (query, expected) in cases {
            assert_eq!(Requirements::parse(query), expected, "{query}");
        }
    }

    #[test]
    fn a_challenge_names_what_scopes_there_must_be() {
        let requirements = Requirements::parse("scope=a:b&scope=c&role=%22x%0a").unwrap();
        let start = "Bearer realm=\"api\", error=\"insufficient_scope\", error_description=";
        assert_eq!(requirements.challenge(Lacks::Scope), format!("{start}\"a scope is missing\", scope=\"a:b c\""));
        assert_eq!(requirements.challenge(Lacks::Role), format!("{start}\"a role is missing\""));
    }
}
