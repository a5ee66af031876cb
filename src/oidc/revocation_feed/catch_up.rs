//! What a receiver lacks when it comes: everything after its cursor, or all that is in force.
//!
//! A little is read and signed for each receiver alone, with its nonce. Much comes in portions, which are signed once for a channel and
//! kept for a while: after a restart of the provider every receiver comes at the same moment and lacks the same. A portion has neither `at`
//! nor nonce; what has come in since follows it, and that is little.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;

use super::channel::Channel;
use super::message::{Message, Room, concerns, log_name};
use super::request::{Cursor, unavailable};
use super::{At, Look, PORTION, in_time, look};
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::OAuthError;
use crate::model::{Algorithm, Revocation};
use crate::store::{Conn, StoreError, revocations};

/// Up to so many of the log's entries are signed for one receiver alone: about a millisecond of work.
const FEW: usize = PORTION / 10;

/// Portions are made anew after this time: what has expired meanwhile is then left out.
const FRESH_FOR: Duration = Duration::from_secs(30);

/// Kept portions of one channel have at most so many bytes, about a million entries. Then they are made anew as they are needed.
const MOST_BYTES: usize = 128 << 20;

/// A signed message for one receiver.
pub(super) struct Piece {
    pub log: Arc<str>,
    pub from: i64,
    pub seq: i64,
    /// Not set if more is to come at once.
    pub at: Option<At>,
    /// Whether it has entries.
    pub news: bool,
    pub jws: Bytes,
}

/// Parts of the log, signed for one channel, by the number that they begin after. They may overlap.
pub(super) struct Portions {
    log: Arc<str>,
    /// The key that they were signed under.
    kid: String,
    signed: BTreeMap<i64, Portion>,
    bytes: usize,
    made_at: Timestamp,
}

#[derive(Clone)]
struct Portion {
    from: i64,
    seq: i64,
    jws: Bytes,
}

/// The next message for a receiver that has everything up to `after`. If it has no `at`, ask again with its end as the cursor.
///
/// # Errors
/// `temporarily_unavailable` if the database does not answer; `server_error` if nothing can be signed.
pub(super) async fn next(
    app: &Arc<App>,
    channel: &Channel,
    after: Option<&Cursor>,
    nonce: Option<&str>,
) -> Result<Piece, OAuthError> {
    // Never closed, so there is always a turn. Those of one channel wait for each other first, not where others do.
    let _turn_in_channel = channel.catching_up.acquire().await;
    let (look, from, entries) = read(app, channel, after).await.map_err(unavailable)?;
    let mut room = Room::new();
    if entries.len() > FEW || !entries.iter().all(|entry| room.takes(entry)) {
        return portion_after(app, channel, look, from).await;
    }
    let seq = end_of(&entries, look.last);
    let message = Message {
        audiences: Arc::clone(&channel.audiences),
        log: Arc::clone(&look.log),
        from,
        seq,
        at: Some(look.at.clone()),
        nonce: nonce.map(str::to_owned),
        entries: Arc::new(entries),
    };
    let news = message.has_entries();
    let keys = look.keys(app).await.map_err(unavailable)?;
    let jws = message.sign(&app.issuer.url, keys, app.now()).await.map_err(OAuthError::internal)?;
    Ok(Piece { log: look.log, from, seq, at: Some(look.at), news, jws })
}

/// Looks at the log, and reads what comes after the cursor: from the beginning if the cursor means nothing in this log.
async fn read(app: &App, channel: &Channel, after: Option<&Cursor>) -> anyhow::Result<(Look, i64, Vec<Revocation>)> {
    // The clock is asked afterwards: the wait may be long.
    let _turn = app.feed.reading.acquire().await;
    let at = app.feed.clock_name.now(&app.clock);
    let now = at.moment;
    let read = async {
        let mut conn = app.store.read().await?;
        let look = look(app, &mut conn, at).await?.named_for(channel);
        let from = after.filter(|cursor| *cursor.log == *look.log && cursor.seq <= look.last).map_or(0, |cursor| cursor.seq);
        let entries = since(&mut conn, from, now, FEW + 1).await?;
        Ok::<_, StoreError>((look, from, entries))
    };
    in_time(read).await
}

pub(super) async fn since(conn: &mut Conn, seq: i64, now: Timestamp, limit: usize) -> Result<Vec<Revocation>, StoreError> {
    revocations::since(conn, seq, now, i64::try_from(limit).unwrap_or(i64::MAX)).await
}

/// Up to where these entries, read after the log was seen to end at `last`, are complete: entries may have come in between.
pub(super) fn end_of(entries: &[Revocation], last: i64) -> i64 {
    entries.last().map_or(last, |entry| entry.seq.max(last))
}

/// The portion that goes on where the receiver is. Its `from` may be less: what overlaps does no harm.
async fn portion_after(app: &Arc<App>, channel: &Channel, look: Look, from: i64) -> Result<Piece, OAuthError> {
    let keys = look.keys(app).await.map_err(unavailable)?;
    let kid = keys.active_kid(Algorithm::Es256).unwrap_or_default();
    let kept =
        || channel.portions().as_ref().filter(|portions| portions.serve(&look, kid)).and_then(|portions| portions.after(from));
    let piece = |portion: Portion| {
        let Portion { from, seq, jws } = portion;
        Piece { log: Arc::clone(&look.log), from, seq, at: None, news: true, jws }
    };
    if let Some(portion) = kept() {
        return Ok(piece(portion));
    }
    let _making = app.feed.making.lock().await;
    // Somebody else may have made it while we waited.
    if let Some(portion) = kept() {
        return Ok(piece(portion));
    }
    let (seq, entries) = in_time(read_portion(app, channel, &look, from)).await.map_err(unavailable)?;
    let (audiences, log) = (Arc::clone(&channel.audiences), Arc::clone(&look.log));
    let message = Message { audiences, log, from, seq, at: None, nonce: None, entries: Arc::new(entries) };
    let jws = message.sign(&app.issuer.url, Arc::clone(&keys), app.now()).await.map_err(OAuthError::internal)?;
    let portion = Portion { from, seq, jws };
    let mut portions = channel.portions();
    let keep = |portions: &Portions| portions.serve(&look, kid) && portions.bytes + portion.jws.len() <= MOST_BYTES;
    if !portions.as_ref().is_some_and(keep) {
        *portions = None;
    }
    portions.get_or_insert_with(|| Portions::new(&look, kid)).add(portion.clone());
    Ok(piece(portion))
}

/// Reads on from `from` until a message is full or the log ends. Gives where that is, and what concerns the channel.
async fn read_portion(app: &App, channel: &Channel, look: &Look, from: i64) -> Result<(i64, Vec<Revocation>), StoreError> {
    let mut conn = app.store.read().await?;
    let (mut entries, mut seq, mut room) = (Vec::new(), from, Room::new());
    loop {
        let read = since(&mut conn, seq, look.at.moment, PORTION).await?;
        let whole = read.len() < PORTION;
        for entry in read {
            let number = entry.seq;
            if concerns(&entry, &channel.audiences) {
                if !room.takes(&entry) {
                    return Ok((seq, entries));
                }
                entries.push(entry);
            }
            seq = number;
        }
        if whole {
            return Ok((seq.max(look.last), entries));
        }
    }
}

impl Look {
    /// With the name that the log has for this channel.
    fn named_for(self, channel: &Channel) -> Self {
        Self { log: log_name(&self.log, &channel.audiences), ..self }
    }
}

impl Portions {
    fn new(look: &Look, kid: &str) -> Self {
        Self { log: Arc::clone(&look.log), kid: kid.to_owned(), signed: BTreeMap::new(), bytes: 0, made_at: look.at.moment }
    }

    /// Whether they are worth keeping. A clock that was set back makes them old, too.
    pub fn are_fresh(&self, now: Timestamp) -> bool {
        self.made_at <= now && now < self.made_at + FRESH_FOR
    }

    /// Whether they are what would be made now, but for entries that have come or expired since.
    fn serve(&self, look: &Look, kid: &str) -> bool {
        self.log == look.log && self.kid == kid && self.are_fresh(look.at.moment)
    }

    fn after(&self, from: i64) -> Option<Portion> {
        let (_, portion) = self.signed.range(..=from).next_back()?;
        Some(portion).filter(|portion| portion.seq > from).cloned()
    }

    fn add(&mut self, portion: Portion) {
        self.bytes += portion.jws.len();
        if let Some(replaced) = self.signed.insert(portion.from, portion) {
            self.bytes -= replaced.jws.len();
        }
    }
}
