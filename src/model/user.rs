//! A person who can sign in.

use serde::{Deserialize, Serialize};

use super::Json;
use crate::clock::Timestamp;

/// A person's account. Credentials are kept apart from it (`store::credentials`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct User {
    /// The `sub` of every token: random, never reused.
    pub id: String,
    /// As the person wrote it.
    pub email: String,
    /// `email` folded for comparison: unique.
    #[serde(skip)]
    pub email_key: String,
    pub email_verified: bool,
    /// The standard claims of OpenID Connect Core §5.1, and custom ones.
    pub profile: Json<Profile>,
    pub roles: Json<Vec<String>>,
    pub groups: Json<Vec<String>>,
    /// Tokens with an `iat` before this moment, rounded up to a second, are refused.
    pub password_changed_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl User {
    /// The form in which e-mail addresses are compared.
    pub fn email_key(email: &str) -> String {
        email.trim().to_lowercase()
    }

    /// Whether an account can have this e-mail address: something on both sides of an `@`, no space or control character, and no
    /// longer than mail allows (RFC 5321 §4.5.3.1.3). Whether mail arrives there only mail can tell.
    pub fn is_email(text: &str) -> bool {
        let parts = text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
        parts && text.len() <= 254 && !text.chars().any(|c| c.is_whitespace() || c.is_control())
    }

    /// What to call this person on a page.
    pub fn display_name(&self) -> &str {
        self.profile.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&self.email)
    }

    /// The first second whose `iat` is accepted (DESIGN §5).
    pub fn cut_off(&self) -> i64 {
        self.password_changed_at.seconds_rounded_up()
    }
}

/// The profile claims of OpenID Connect Core §5.1 that describe a person, apart from `email`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthdate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoneinfo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub phone_number_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Claims of the operator's own, by full name (a URI); copied into tokens by configuration.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub custom: serde_json::Map<String, serde_json::Value>,
}

/// OpenID Connect Core §5.1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}
