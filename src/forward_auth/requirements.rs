//! What a route asks of a token beyond being good: the query of `/verify`, which the operator writes into the proxy's configuration.

use std::borrow::Cow;

use axum::http::HeaderValue;
use tessera_verifier::{StepUp, Token, Verifier};

use crate::http::form_encoding;

/// Scopes and roles, all of which are required, and what is asked of the user's sign-in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Requirements<'q> {
    scopes: Vec<Cow<'q, str>>,
    roles: Vec<Cow<'q, str>>,
    /// Any one of these.
    acr_values: Vec<Cow<'q, str>>,
    max_age: Option<u64>,
}

/// Why a query says nothing. It is the proxy's configuration that is wrong, so nothing may pass: what the operator meant to require
/// is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misconfigured {
    #[error("the query has a parameter other than scope, role, acr and max_age")]
    Unknown,
    #[error("the query has a scope without a value, or one that no token can have")]
    Scope,
    #[error("the query has a role without a value")]
    Role,
    #[error("the query has an acr without a value, or one that no challenge can name")]
    Acr,
    #[error("the query has a max_age that is no number of seconds, or two of them")]
    MaxAge,
    #[error("the query is not well-formed")]
    Encoding,
}

/// What a token lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lacks {
    Scope,
    Role,
    /// Another sign-in (RFC 9470).
    StepUp,
}

impl<'q> Requirements<'q> {
    /// Reads `scope=a&scope=b&role=c&acr=d&max_age=300`.
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
                // As `acr_values` they stand in one quoted text, with spaces between them.
                "acr" if is_scope(&value) => requirements.acr_values.push(value),
                "acr" => return Err(Misconfigured::Acr),
                "max_age" if requirements.max_age.is_none() => {
                    requirements.max_age = Some(value.parse().map_err(|_| Misconfigured::MaxAge)?);
                }
                "max_age" => return Err(Misconfigured::MaxAge),
                _ => return Err(Misconfigured::Unknown),
            }
        }
        Ok(requirements)
    }

    /// The first kind of thing that the token lacks.
    pub(super) fn lacking(&self, token: &Token, verifier: &Verifier) -> Option<Lacks> {
        if !self.scopes.iter().all(|scope| token.has_scope(scope)) {
            return Some(Lacks::Scope);
        }
        let has = if self.roles.is_empty() { Vec::new() } else { token.roles() };
        if !self.roles.iter().all(|role| has.iter().any(|name| name == role)) {
            return Some(Lacks::Role);
        }
        let meets = self.with_step_up(|step_up| verifier.meets(token, step_up));
        (!meets).then_some(Lacks::StepUp)
    }

    fn with_step_up<T>(&self, ask: impl FnOnce(&StepUp<'_>) -> T) -> T {
        let acr_values: Vec<&str> = self.acr_values.iter().map(|acr| &**acr).collect();
        ask(&StepUp { max_age: self.max_age, acr_values: &acr_values })
    }

    /// `WWW-Authenticate` for a token that lacks something (RFC 6750 §3.1, RFC 9470 §3). Scopes are named; roles are nobody else's business.
    pub(super) fn challenge(&self, lacks: Lacks) -> HeaderValue {
        let plain = "Bearer realm=\"api\", error=\"insufficient_scope\"";
        let value = match lacks {
            Lacks::StepUp => self.with_step_up(|step_up| step_up.www_authenticate()),
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
            Ok(Requirements { scopes: texts(scopes), roles: texts(roles), ..Requirements::default() })
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
            ("max_age=", Err(Misconfigured::MaxAge)),
            ("max_age=-1", Err(Misconfigured::MaxAge)),
            ("max_age=5m", Err(Misconfigured::MaxAge)),
            ("max_age=1&max_age=2", Err(Misconfigured::MaxAge)),
            ("acr=", Err(Misconfigured::Acr)),
            ("acr=a%22b", Err(Misconfigured::Acr)),
            ("acr_values=a", Err(Misconfigured::Unknown)),
            (
                "max_age=300&acr=urn:a&acr=urn:b",
                Ok(Requirements {
                    acr_values: vec![Cow::Borrowed("urn:a"), Cow::Borrowed("urn:b")],
                    max_age: Some(300),
                    ..Requirements::default()
                }),
            ),
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
        let challenge = Requirements::parse("acr=urn:a&max_age=300&acr=urn:b").unwrap().challenge(Lacks::StepUp);
        let challenge = challenge.to_str().unwrap();
        assert!(challenge.starts_with("Bearer realm=\"api\", error=\"insufficient_user_authentication\""), "{challenge}");
        assert!(challenge.ends_with("acr_values=\"urn:a urn:b\", max_age=\"300\""), "{challenge}");
    }
}
