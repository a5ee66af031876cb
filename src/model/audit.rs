//! Something security-relevant that happened, and who did it.

use serde::{Deserialize, Serialize};

use super::Json;
use crate::clock::Timestamp;

/// The kinds of event that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    SignInSucceeded,
    SignInFailed,
    SignInLimited,
    SignedOut,
    SessionEnded,
    LogoutNotDelivered,
    ConsentGranted,
    ConsentDenied,
    ConsentRemoved,
    DeviceCodeLimited,
    PasswordChanged,
    PasswordRehashed,
    UserCreated,
    UserUpdated,
    UserDisabled,
    UserEnabled,
    UserDeleted,
    ClientCreated,
    ClientUpdated,
    ClientSecretRotated,
    ClientDisabled,
    ClientEnabled,
    ClientDeleted,
    RegistrationTokenCreated,
    RegistrationTokenRevoked,
    TokenRevoked,
    TokenExchanged,
    CodeReplayed,
    RefreshTokenReplayed,
    KeyCreated,
    KeyActivated,
    KeyRevoked,
    KeyImported,
    KeyDeleted,
    KeysRewrapped,
}

/// One audit row. `detail` never holds a secret.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    pub id: String,
    pub at: Timestamp,
    pub kind: AuditKind,
    /// Who did it: `user:<id>`, `client:<id>`, `operator` (command line) or `anonymous`.
    pub actor: String,
    /// Whom or what it concerns: `user:<id>`, `client:<id>`, `session:<sid>`, `key:<kid>` …
    pub subject: String,
    pub ip: Option<String>,
    pub request_id: Option<String>,
    pub detail: Json<serde_json::Map<String, serde_json::Value>>,
}

/// Who does something, from where.
#[derive(Clone, Debug, Default)]
pub struct Actor {
    /// `user:<id>`, `client:<id>`, `operator`, `provider` or `anonymous`.
    pub name: String,
    pub ip: Option<String>,
    pub request_id: Option<String>,
}

impl Actor {
    /// Whoever runs the command line.
    pub fn operator() -> Self {
        Self { name: "operator".to_owned(), ip: None, request_id: None }
    }

    /// The provider itself, when nobody asked it.
    pub fn provider() -> Self {
        Self { name: "provider".to_owned(), ip: None, request_id: None }
    }

    /// This actor, known by `name`.
    #[must_use]
    pub fn named(&self, name: String) -> Self {
        Self { name, ..self.clone() }
    }
}
