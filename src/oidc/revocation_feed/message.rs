//! One message of the feed: a JWT that says "these are the entries of the log from number `from` to number `seq`".

use std::sync::Arc;

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::{At, PORTION};
use crate::clock::Timestamp;
use crate::keyring::{KeyError, KeySet};
use crate::model::{Algorithm, Revocation, RevocationKind};

/// `typ` of a message.
const MESSAGE_TYPE: &str = "revocations+jwt";

/// So many entries take a millisecond to sign. More than that is not done on a thread that answers requests.
const QUICK: usize = PORTION / 10;

/// A message before it is signed.
#[derive(Clone)]
pub(super) struct Message {
    pub audiences: Arc<[String]>,
    /// As `log_name` gives it.
    pub log: Arc<str>,
    pub from: i64,
    pub seq: i64,
    /// Set if the log ended at `seq` at that moment; not set if more messages follow at once.
    pub at: Option<At>,
    pub nonce: Option<String>,
    /// Everything in force from `from` to `seq`; what does not concern `audiences` is left out in writing.
    pub entries: Arc<Vec<Revocation>>,
}

/// The payload.
#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    aud: &'a [String],
    iat: i64,
    log: &'a str,
    from: i64,
    seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Entries<'a>>,
}

struct Entries<'a>(&'a Message);

#[derive(Default, Serialize)]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat_before: Option<i64>,
    exp: i64,
}

impl Message {
    /// Whether it has an entry for its audiences.
    pub fn has_entries(&self) -> bool {
        self.entries.iter().any(|entry| concerns(entry, &self.audiences))
    }

    /// The message as a compact JWS, signed at `now`.
    ///
    /// # Errors
    /// If there is no key that signs.
    pub async fn sign(self, issuer: &str, keys: Arc<KeySet>, now: Timestamp) -> anyhow::Result<Bytes> {
        if self.entries.len() <= QUICK {
            return Ok(self.signed(issuer, &keys, now)?);
        }
        let issuer = issuer.to_owned();
        Ok(tokio::task::spawn_blocking(move || self.signed(&issuer, &keys, now)).await??)
    }

    fn signed(&self, issuer: &str, keys: &KeySet, now: Timestamp) -> Result<Bytes, KeyError> {
        let payload = Payload {
            iss: issuer,
            aud: &self.audiences,
            iat: now.seconds(),
            log: &self.log,
            from: self.from,
            seq: self.seq,
            at: self.at.as_ref().map(|at| at.moment.millis()),
            clock: self.at.as_ref().map(|at| &*at.clock),
            nonce: self.nonce.as_deref(),
            entries: self.has_entries().then_some(Entries(self)),
        };
        Ok(keys.sign(Algorithm::Es256, MESSAGE_TYPE, &payload)?.into())
    }
}

/// The most bytes that the entries of a message have. As base64url, with the rest and the signature, it is then less than the 2 MiB that
/// receivers take.
const MOST_BYTES: usize = 3 << 19;
const ENVELOPE_BYTES: usize = 64 * 1024;

/// The members of an entry besides its id.
const ENTRY_BYTES: usize = 80;

/// What still fits into a message.
pub(super) struct Room {
    entries: usize,
    bytes: usize,
}

impl Room {
    /// That of a message without entries.
    pub fn new() -> Self {
        Self { entries: 0, bytes: MOST_BYTES - ENVELOPE_BYTES }
    }

    /// Whether the entry fits, too; then its room is taken. One always does: no id is nearly so long.
    pub fn takes(&mut self, entry: &Revocation) -> bool {
        let escaped = |b: u8| match b {
            0..=0x1f => 6,
            b'"' | b'\\' => 2,
            _ => 1,
        };
        let bytes = ENTRY_BYTES + entry.id.bytes().map(escaped).sum::<usize>();
        let fits = self.entries == 0 || (self.entries < PORTION && bytes <= self.bytes);
        if fits {
            self.entries += 1;
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        fits
    }
}

/// What a log is called in messages for these audiences. They do not see the whole of it: a cursor of others would leave something out.
pub(super) fn log_name(log: &str, audiences: &[String]) -> Arc<str> {
    let mut digest = Sha256::new_with_prefix(log);
    for audience in audiences {
        digest.update([0]);
        digest.update(audience);
    }
    let digest = digest.finalize();
    URL_SAFE_NO_PAD.encode(digest.split_at(12).0).into()
}

/// Whether a resource server for these audiences must know the entry.
pub(super) fn concerns(entry: &Revocation, audiences: &[String]) -> bool {
    entry.audience.as_ref().is_none_or(|of_token| of_token.iter().any(|audience| audiences.contains(audience)))
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Message { audiences, entries, .. } = self.0;
        serializer.collect_seq(entries.iter().filter(|entry| concerns(entry, audiences)).map(Entry::of))
    }
}

impl<'a> Entry<'a> {
    fn of(entry: &'a Revocation) -> Self {
        let id = Some(entry.id.as_str());
        // Rounded up: to the receiver the entry is in force for as long as it is here.
        let common = Self { iat_before: entry.not_before, exp: entry.expires_at.seconds_rounded_up(), ..Self::default() };
        match entry.kind {
            RevocationKind::Token => Self { jti: id, ..common },
            RevocationKind::Session => Self { sid: id, ..common },
            RevocationKind::User => Self { sub: id, ..common },
            RevocationKind::Client => Self { client_id: id, ..common },
            RevocationKind::Key => Self { kid: id, ..common },
        }
    }
}

/// What stands before a message in a stream of server-sent events. `SSE_END` comes after it.
pub(super) fn sse_begin(log: &str, seq: i64) -> String {
    format!("id: {log}:{seq}\nevent: revocations\ndata: ")
}

/// Ends an event.
pub(super) const SSE_END: &str = "\n\n";

/// A message as one server-sent event.
pub(super) fn sse(log: &str, seq: i64, jws: &[u8]) -> Bytes {
    let mut event = sse_begin(log, seq).into_bytes();
    event.reserve_exact(jws.len() + SSE_END.len());
    event.extend_from_slice(jws);
    event.extend_from_slice(SSE_END.as_bytes());
    event.into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{LONGEST_AUDIENCE, MOST_AUDIENCES};
    use crate::model::Json;

    fn entry(kind: RevocationKind, not_before: Option<i64>, audience: Option<&[&str]>) -> Revocation {
        let audience = audience.map(|names| Json(names.iter().map(|name| (*name).to_owned()).collect()));
        Revocation { seq: 1, kind, id: "x".to_owned(), not_before, expires_at: Timestamp(5_000_001), audience }
    }

    #[test]
    fn each_kind_has_its_name_and_exp_is_rounded_up() {
        let written = |kind, not_before| serde_json::to_value(Entry::of(&entry(kind, not_before, None))).unwrap();
        for (kind, not_before, expected) in [
            (RevocationKind::Token, None, json!({ "jti": "x", "exp": 6 })),
            (RevocationKind::Session, None, json!({ "sid": "x", "exp": 6 })),
            (RevocationKind::User, Some(4), json!({ "sub": "x", "iat_before": 4, "exp": 6 })),
            (RevocationKind::Client, Some(4), json!({ "client_id": "x", "iat_before": 4, "exp": 6 })),
            (RevocationKind::Key, None, json!({ "kid": "x", "exp": 6 })),
        ] {
            assert_eq!(written(kind, not_before), expected);
        }
    }

    #[test]
    fn only_an_audience_in_common_or_none_at_all_concerns() {
        let mine = ["https://a.example".to_owned(), "https://b.example".to_owned()];
        let concerned = |audience: Option<&[&str]>| concerns(&entry(RevocationKind::Token, None, audience), &mine);
        assert!(concerned(None));
        assert!(concerned(Some(&["https://b.example", "https://c.example"])));
        assert!(!concerned(Some(&["https://c.example"])));
        assert!(!concerned(Some(&["https://a.example/"])), "audiences are compared as they are");
        assert!(!concerned(Some(&[])));
    }

    #[test]
    fn a_log_has_another_name_for_other_audiences() {
        let name = |log: &str, audiences: &[&str]| {
            log_name(log, &audiences.iter().map(|audience| (*audience).to_owned()).collect::<Vec<_>>())
        };
        let one = name("log", &["a", "b"]);
        assert_eq!((name("log", &["a", "b"]), one.len()), (Arc::clone(&one), 16));
        for other in [name("gol", &["a", "b"]), name("log", &["a"]), name("log", &["ab"]), name("log", &["a", "b", "c"])] {
            assert_ne!(other, one);
        }
    }

    /// Whatever the ids are, a full message has less than the 2 MiB that receivers take.
    #[test]
    fn a_full_message_is_not_too_long() {
        for id in ["00000000-0000-0000-0000-000000000000", &"\u{1}".repeat(255), &"\"".repeat(255), &"é".repeat(128)] {
            let mut room = Room::new();
            let entry = Revocation { id: id.to_owned(), ..entry(RevocationKind::Client, Some(i64::MAX), None) };
            let entries: Vec<_> = std::iter::repeat_n(entry, PORTION + 1).take_while(|entry| room.takes(entry)).collect();
            assert_eq!(entries.len() == PORTION, id.len() == 36, "{} of {id}", entries.len());
            let written = serde_json::to_string(&entries.iter().map(Entry::of).collect::<Vec<_>>()).unwrap();
            assert!((written.len() + ENVELOPE_BYTES).div_ceil(3) * 4 <= 2 << 20, "{}", written.len());
        }
    }

    #[test]
    fn whatever_a_client_may_be_registered_for_has_room() {
        let audiences = vec!["\"".repeat(LONGEST_AUDIENCE); MOST_AUDIENCES];
        let written = serde_json::to_string(&audiences).unwrap();
        assert!(written.len() <= 48 * 1024 && 48 * 1024 < ENVELOPE_BYTES, "{}", written.len());
    }

    #[test]
    fn an_event_is_three_lines_and_an_empty_one() {
        assert_eq!(sse("9fX2", 43, b"a.b.c"), "id: 9fX2:43\nevent: revocations\ndata: a.b.c\n\n");
    }

    #[test]
    fn entries_of_others_are_not_written_and_none_leaves_the_member_out() {
        let mut message = Message {
            audiences: ["https://a.example".to_owned()].into(),
            log: "l".into(),
            from: 0,
            seq: 2,
            at: None,
            nonce: None,
            entries: Arc::new(vec![entry(RevocationKind::Token, None, Some(&["https://c.example"]))]),
        };
        assert!(!message.has_entries());
        message.entries = Arc::new([message.entries.as_slice(), &[entry(RevocationKind::Key, None, None)]].concat());
        assert!(message.has_entries());
        let written: Value = serde_json::to_value(Entries(&message)).unwrap();
        assert_eq!(written, json!([{ "kid": "x", "exp": 6 }]));
    }
}
