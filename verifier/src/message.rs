//! The payload of a message of the feed (docs/revocation-feed.md, "A message").

use serde::Deserialize;

use crate::index::Kind;

/// As it is on the wire. A member twice is refused, an unknown one ignored. `iat` is for people and not read.
#[derive(Deserialize)]
pub(crate) struct Message {
    pub(crate) iss: String,
    pub(crate) aud: Vec<String>,
    pub(crate) log: String,
    pub(crate) from: u64,
    pub(crate) seq: u64,
    pub(crate) at: Option<u64>,
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
    /// It has none of the five names: there is something in force that cannot be applied.
    Unknown,
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
            (None, _) => Some(Entry::Unknown),
            (Some((kind, name, iat_before)), None) => Some(Entry::Known { kind, name, iat_before, exp: self.exp? }),
            (Some(_), Some(_)) => None,
        }
    }
}
