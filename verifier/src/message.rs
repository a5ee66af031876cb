//! The payload of a message of the feed (docs/revocation-feed.md, "A message").

use serde::Deserialize;
use serde_json::Value;

use crate::index::Kind;
use crate::json;

/// More are not sent in one message.
const MAX_ENTRIES: usize = 10_000;

/// As it is on the wire. Unknown members are ignored.
#[derive(Deserialize)]
pub(crate) struct Message {
    pub(crate) iss: String,
    pub(crate) aud: Vec<String>,
    /// For people: only looked at for its type.
    #[serde(rename = "iat")]
    _iat: f64,
    pub(crate) log: String,
    pub(crate) from: u64,
    pub(crate) seq: u64,
    pub(crate) at: Option<u64>,
    /// Which clock told `at`.
    pub(crate) clock: Option<String>,
    pub(crate) nonce: Option<String>,
    #[serde(default)]
    pub(crate) entries: Vec<WireEntry>,
}

#[derive(Deserialize)]
pub(crate) struct WireEntry {
    jti: Option<String>,
    sid: Option<String>,
    sub: Option<String>,
    client_id: Option<String>,
    kid: Option<String>,
    iat_before: Option<u64>,
    exp: Option<u64>,
}

/// What an entry comes to.
pub(crate) enum Entry {
    /// Refuses the tokens with this name.
    Known { kind: Kind, name: String, iat_before: Option<u64>, exp: u64 },
    /// It has none of the five names: until `exp` there is something in force that cannot be applied.
    Unknown { exp: u64 },
}

impl Message {
    /// Reads a payload: strictly, since what one parser overlooks another may not. `None` if it is none.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let object = json::object(payload).ok()?;
        // An array would do for `serde` where an object is meant.
        let entries = object.get("entries").map(|entries| entries.as_array());
        if entries.is_some_and(|entries| entries.is_none_or(|entries| !entries.iter().all(Value::is_object))) {
            return None;
        }
        let message: Self = serde_json::from_value(Value::Object(object)).ok()?;
        let log_is_named = !message.log.is_empty()
            && message.log.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        (log_is_named && (message.at.is_none() || message.clock.is_some()) && message.entries.len() <= MAX_ENTRIES)
            .then_some(message)
    }
}

impl WireEntry {
    /// `None` if it has more than one name, or no `exp`.
    pub(crate) fn read(self) -> Option<Entry> {
        let cut_off = self.iat_before;
        let names = [
            (Kind::Jti, self.jti, None),
            (Kind::Sid, self.sid, None),
            (Kind::Sub, self.sub, cut_off),
            (Kind::ClientId, self.client_id, cut_off),
            (Kind::Kid, self.kid, None),
        ];
        let mut names = names.into_iter().filter_map(|(kind, name, iat_before)| Some((kind, name?, iat_before)));
        match (names.next(), names.next()) {
            (None, _) => Some(Entry::Unknown { exp: self.exp? }),
            (Some((kind, name, iat_before)), None) => Some(Entry::Known { kind, name, iat_before, exp: self.exp? }),
            (Some(_), Some(_)) => None,
        }
    }
}
