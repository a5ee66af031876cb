//! The receiver's side of the revocation feed as a state machine without network, clock or task: what to do with a message, and how
//! fresh is what is known (docs/revocation-feed.md). `feed` connects it to the provider.

use std::sync::Arc;
use std::time::Duration;

use crate::index::{Index, Kind};
use crate::jws::{Jws, Malformed};
use crate::keys::{Alg, KeyError, KeySet};
use crate::message::{Entry, Message};
use crate::state::{Now, State};

/// Longer messages are refused unread.
pub const MAX_MESSAGE_LENGTH: usize = 2 * 1024 * 1024;
/// A connection that does not make the receiver fresh for so long is to be closed.
pub const MAX_SILENCE: Duration = Duration::from_secs(3);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Its entries are in force.
    Applied {
        /// How many it brought.
        entries: usize,
        /// Whether it says that everything is known up to a later moment than before.
        progress: bool,
    },
    /// Nothing was changed: fetch the JWKS, then show the message again. If the key is still unknown, [`Receiver::resync`].
    UnknownKey,
    /// It was not taken, and the cursor is gone: close the connection and open it anew.
    Dropped(Dropped),
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Dropped {
    /// It is not a signed message.
    #[error("malformed message")]
    Malformed,
    /// `typ` is not `revocations+jwt`.
    #[error("`typ` is not `revocations+jwt`")]
    Type,
    /// `alg` is not ES256, or `kid` names no key for it.
    #[error("not signed with ES256")]
    Algorithm,
    /// It is signed under a key that was revoked.
    #[error("signed under a revoked key")]
    RevokedKey,
    /// No published key has its `kid`.
    #[error("signed under an unknown key")]
    UnknownKey,
    /// The signature is wrong.
    #[error("wrong signature")]
    Signature,
    /// `iss` is another issuer.
    #[error("from another issuer")]
    Issuer,
    /// It was not made for all audiences of this receiver.
    #[error("not made for all audiences of this receiver")]
    Audience,
    /// `from` is greater than `seq`.
    #[error("`from` is greater than `seq`")]
    Range,
    /// Its numbers are those of another log.
    #[error("of another log")]
    Log,
    /// Entries before it are missing, or its log ends before what is known of it.
    #[error("a gap: entries before it are missing")]
    Gap,
    /// The connection's first statement of time does not carry the request's `nonce`.
    #[error("not made for this request")]
    Nonce,
}

impl Dropped {
    /// A word for logs, metrics and the test vectors.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Type => "typ",
            Self::Algorithm => "alg",
            Self::RevokedKey => "revoked_kid",
            Self::UnknownKey => "unknown_kid",
            Self::Signature => "signature",
            Self::Issuer => "iss",
            Self::Audience => "aud",
            Self::Range => "range",
            Self::Log => "log",
            Self::Gap => "gap",
            Self::Nonce => "nonce",
        }
    }
}

/// The state machine. One connection to the provider at a time feeds it.
pub struct Receiver {
    issuer: String,
    audiences: Vec<String>,
    max_staleness: Duration,
    state: Arc<State>,
    position: Option<Position>,
    /// The next request asks for everything.
    anew: bool,
    connection: Option<Connection>,
}

struct Position {
    log: String,
    seq: u64,
}

struct Connection {
    /// When the request was sent, moved back by what the clocks disagree: nanoseconds, perhaps before the monotonic clock's zero.
    sent: i128,
    nonce: String,
    /// The clock that told the first `at`, and `at` of the first and of the last message by that clock.
    told: Option<(String, u64, u64)>,
    /// When it last made the receiver fresh; before that, when it began.
    progress: Duration,
}

impl Receiver {
    /// A receiver that knows nothing yet. `max_staleness`: 1 second unless there is a reason.
    pub fn new(issuer: &str, audiences: &[String], max_staleness: Duration) -> Self {
        Self::with_state(issuer, audiences, max_staleness, Arc::default())
    }

    pub(crate) fn with_state(issuer: &str, audiences: &[String], max_staleness: Duration, state: Arc<State>) -> Self {
        let (issuer, audiences) = (issuer.to_owned(), audiences.to_vec());
        Self { issuer, audiences, max_staleness, state, position: None, anew: false, connection: None }
    }

    /// The keys to check messages with, but for those that are known to be revoked.
    pub fn set_keys(&self, keys: KeySet) {
        self.state.set_keys(keys);
    }

    /// A request with this `nonce` was sent at `sent` (monotonic). What comes from now on is its answer.
    pub fn connected(&mut self, nonce: &str, sent: Duration) {
        self.connection = Some(Connection { sent: sent.as_nanos() as i128, nonce: nonce.to_owned(), told: None, progress: sent });
    }

    /// The next request asks for everything. What is known stays in force.
    pub fn resync(&mut self) {
        self.anew = true;
        self.connection = None;
    }

    /// What the next request sends as `Last-Event-ID` or `after`.
    pub fn cursor(&self) -> Option<String> {
        let position = self.position.as_ref().filter(|_| !self.anew);
        position.map(|position| format!("{}:{}", position.log, position.seq))
    }

    /// The number of the last entry.
    pub fn seq(&self) -> Option<u64> {
        self.position.as_ref().map(|position| position.seq)
    }

    /// Whether what is known may be relied on at this moment of the monotonic clock.
    pub fn is_fresh(&self, now: Duration) -> bool {
        self.state.freshness.is_fresh(now, self.max_staleness)
    }

    /// How long ago everything was known; `None` if it never was.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        self.state.freshness.age(now)
    }

    /// The provider's time since 1970, to be used while fresh.
    pub fn provider_time(&self, now: Duration) -> Duration {
        self.state.freshness.provider_time(now)
    }

    /// When the connection is to be given up, unless it makes the receiver fresh before (monotonic).
    pub fn deadline(&self) -> Option<Duration> {
        self.connection.as_ref().map(|connection| connection.progress.saturating_add(MAX_SILENCE))
    }

    /// What is revoked.
    pub fn index(&self) -> &Index {
        &self.state.index
    }

    /// Takes in one message, which arrived at `received`.
    pub fn message(&mut self, jws: &str, received: Now) -> Outcome {
        match self.take(jws, received) {
            Ok(outcome) => outcome,
            Err(Dropped::UnknownKey) => Outcome::UnknownKey,
            Err(dropped) => {
                self.resync();
                Outcome::Dropped(dropped)
            }
        }
    }

    fn take(&mut self, jws: &str, received: Now) -> Result<Outcome, Dropped> {
        let message = self.verify(jws)?;
        let first = self.connection.as_ref().is_none_or(|connection| connection.told.is_none());
        let nonce = self.connection.as_ref().map(|connection| &connection.nonce);
        if message.at.is_some() && first && (nonce.is_none() || message.nonce.as_ref() != nonce) {
            return Err(Dropped::Nonce);
        }
        if message.from > message.seq {
            return Err(Dropped::Range);
        }
        let seq = self.follows(&message)?;
        let entries = message.entries.into_iter().map(|entry| entry.read().ok_or(Dropped::Malformed));
        let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
        let connection = self.connection.as_mut().ok_or(Dropped::Nonce)?;

        // Everything is checked. Entries first: only then may it be said up to when all is known.
        let count = entries.len();
        let (index, freshness) = (&self.state.index, &self.state.freshness);
        for entry in entries {
            match entry {
                Entry::Known { kind: Kind::Kid, name, .. } => self.state.revoke_key(&name),
                Entry::Known { kind, name, iat_before, exp } => index.insert(kind, &name, iat_before, Some(exp)),
                Entry::Unknown { exp } => freshness.go_blind(exp),
            }
        }
        self.position = Some(Position { log: message.log, seq });
        self.anew = false;
        let told = message.at.zip(message.clock);
        let known = told.and_then(|(at, clock)| Some((connection.learn(at, clock, received.monotonic)?, at)));
        if let Some((known, at)) = known {
            freshness.learn(known, at, received.monotonic);
            freshness.pass((at / 1000).min(received.unix.as_secs()));
            index.sweep_some(freshness.horizon());
        }
        if freshness.age(received.monotonic).is_some_and(|age| age <= self.max_staleness) {
            connection.progress = received.monotonic;
        }
        Ok(Outcome::Applied { entries: count, progress: known.is_some() })
    }

    /// Steps 1 to 3: its form, who says it, and to whom.
    fn verify(&self, jws: &str) -> Result<Message, Dropped> {
        let jws = Jws::parse(jws, MAX_MESSAGE_LENGTH).map_err(|malformed| match malformed {
            Malformed::Form(_) => Dropped::Malformed,
            Malformed::Alg => Dropped::Algorithm,
        })?;
        let header = &jws.header;
        if header.typ != "revocations+jwt" {
            return Err(Dropped::Type);
        }
        if header.alg != Alg::Es256 {
            return Err(Dropped::Algorithm);
        }
        if self.state.index.refuses(Kind::Kid, &header.kid, 0) {
            return Err(Dropped::RevokedKey);
        }
        self.state.keys().verify(&header.kid, header.alg, jws.signing_input, &jws.signature).map_err(|error| match error {
            KeyError::Unknown => Dropped::UnknownKey,
            KeyError::OtherAlg => Dropped::Algorithm,
            KeyError::Signature => Dropped::Signature,
        })?;
        let message = Message::read(&jws.payload).ok_or(Dropped::Malformed)?;
        if message.iss != self.issuer {
            return Err(Dropped::Issuer);
        }
        if !self.audiences.iter().all(|audience| message.aud.contains(audience)) {
            return Err(Dropped::Audience);
        }
        Ok(message)
    }

    /// Step 4: the number of the last entry when this message is in.
    fn follows(&self, message: &Message) -> Result<u64, Dropped> {
        match &self.position {
            _ if message.from == 0 => Ok(message.seq),
            Some(position) if position.log != message.log => Err(Dropped::Log),
            Some(position) if message.at.is_some() && message.seq < position.seq => Err(Dropped::Gap),
            Some(position) if message.from <= position.seq => Ok(message.seq.max(position.seq)),
            _ => Err(Dropped::Gap),
        }
    }
}

impl Connection {
    /// Step 6: up to when everything is known (monotonic), given that this connection's provider said `at`. `None`: nothing new.
    fn learn(&mut self, at: u64, clock: String, received: Duration) -> Option<Duration> {
        let first = match &mut self.told {
            Some((known, first, last)) if *known == clock && at > *last => {
                *last = at;
                *first
            }
            Some(_) => return None,
            None => {
                self.told = Some((clock, at, at));
                at
            }
        };
        let passed = i128::from(at - first) * 1_000_000;
        let received = received.as_nanos() as i128;
        // Nothing is known that was not said yet: a provider's clock that runs ahead must not make the receiver seem fresher.
        let known = (self.sent + passed).min(received);
        self.sent = known - passed;
        u64::try_from(known).ok().map(Duration::from_nanos)
    }
}
