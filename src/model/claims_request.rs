//! The claims that an authorization request names one by one (OpenID Connect Core §5.5).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Names of claims, each perhaps with a language tag (`name#de`), beside those of the scope. Only such as the client may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimsRequest {
    /// To be in the ID token.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub id_token: BTreeSet<String>,
    /// To be in the userinfo response.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub userinfo: BTreeSet<String>,
    /// `claims_locales` (§5.2): the languages in which claims are wanted as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locales: Vec<String>,
}

impl ClaimsRequest {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.id_token.is_empty() && self.userinfo.is_empty() && self.locales.is_empty()
    }

    /// The part that the userinfo endpoint needs to know.
    #[must_use]
    pub fn for_userinfo(&self) -> Self {
        Self { id_token: BTreeSet::new(), ..self.clone() }
    }
}
