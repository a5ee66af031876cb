//! What a route asks of the user's sign-in, beyond a good token (RFC 9470).

use std::time::Duration;

use crate::token::Token;

/// How, and how recently, the user must have signed in. Without any requirement every token meets it, also one in which a client acts for
/// itself; with one, such a token never does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepUp<'a> {
    /// Seconds since the sign-in at most.
    pub max_age: Option<u64>,
    /// `acr` must be one of these, the preferred one first; any will do if there is none.
    pub acr_values: &'a [&'a str],
}

impl StepUp<'_> {
    /// Whether the user signed in as this asks. `now`: time since 1970; `leeway`: by how much clocks may differ.
    pub fn is_met(&self, token: &Token, now: Duration, leeway: Duration) -> bool {
        let recent = self.max_age.is_none_or(|max_age| {
            let limit = max_age.saturating_add(leeway.as_secs());
            token.auth_time().is_some_and(|auth_time| now.as_secs().saturating_sub(auth_time) <= limit)
        });
        let strong = self.acr_values.is_empty() || token.acr().is_some_and(|acr| self.acr_values.contains(&acr));
        recent && strong
    }

    /// The value of `WWW-Authenticate` for a token that does not meet it (RFC 9470 §3): the app sends the user through the authorization
    /// endpoint again, with the same `acr_values` and `max_age`.
    pub fn www_authenticate(&self) -> String {
        let mut value = "Bearer realm=\"api\", error=\"insufficient_user_authentication\"".to_owned();
        value.push_str(", error_description=\"the user must sign in again, or in another way\"");
        if !self.acr_values.is_empty() {
            value.push_str(&format!(", acr_values=\"{}\"", crate::denied::quotable(&self.acr_values.join(" "))));
        }
        if let Some(max_age) = self.max_age {
            value.push_str(&format!(", max_age=\"{max_age}\""));
        }
        value
    }
}
