//! One receiver's stream: what it lacked when it came, then what its channel carries.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::At;
use super::catch_up::{self, Piece};
use super::channel::{Channel, Event, Frame};
use super::message::{SSE_END, sse_begin};
use super::places::Place;
use super::request::{self, Cursor, Request};
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::OAuthError;
use crate::model::secret::random_bytes;

/// A stream ends after this, give or take a tenth, so that receivers spread over the replicas again and do not all come at once.
const LONGEST: Duration = Duration::from_secs(600);

/// The first look at whether the client may still read, and the next ones. A client that is disabled is ended by the log's entry at
/// once; this is for what has no entry, such as other audiences, and for an authentication by what was true a second ago.
const FIRST_CHECK: Duration = Duration::from_secs(2);
const CHECK_EVERY: Duration = Duration::from_secs(15);

/// Tells the receiver to come again after a quarter of a second.
const RETRY: Bytes = Bytes::from_static(b"retry: 250\n\n");

pub(super) struct Stream {
    app: Arc<App>,
    channel: Arc<Channel>,
    frames: Receiver<Arc<Frame>>,
    client_id: String,
    /// What the receiver has.
    log: Arc<str>,
    seq: i64,
    at: Timestamp,
    /// The clock of the first message with a moment: by that one the receiver measures.
    clock: Option<Arc<str>>,
    /// What it still lacks is read from the database; with `nonce`, if that was not sent yet.
    lacking: bool,
    nonce: Option<String>,
    ready: VecDeque<Bytes>,
    check_at: Timestamp,
    ends_at: Timestamp,
    _place: Place,
}

impl Stream {
    /// Begins a stream: subscribes first, and then reads what the receiver lacks, so that nothing falls between the two.
    ///
    /// # Errors
    /// `temporarily_unavailable` if there is no place, or the database does not answer; `server_error` if nothing can be signed.
    pub async fn begin(app: &Arc<App>, request: Request) -> Result<Self, OAuthError> {
        let place = Place::take(app, &request.client_id)?;
        let (channel, frames) = app.feed.subscribe(&request.audiences)?;
        let now = app.now();
        let piece = catch_up::next(app, &channel, request.after.as_ref(), request.nonce.as_deref()).await?;
        let mut stream = Self {
            app: Arc::clone(app),
            channel,
            frames,
            client_id: request.client_id,
            log: Arc::clone(&piece.log),
            seq: piece.seq,
            at: Timestamp(i64::MIN),
            clock: None,
            lacking: true,
            nonce: request.nonce,
            ready: VecDeque::from([RETRY]),
            check_at: now + FIRST_CHECK,
            ends_at: now + jittered(LONGEST),
            _place: place,
        };
        stream.take(piece);
        Ok(stream)
    }

    /// The body of the answer.
    pub fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, async |mut stream| {
            let bytes = stream.next().await?;
            Some((Ok::<_, std::convert::Infallible>(bytes), stream))
        }))
    }

    /// What is sent next; none when the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.lacking {
                // Boxed: a stream that has caught up should be small, and there are many.
                Box::pin(self.read_on()).await?;
                continue;
            }
            match self.frames.recv().await {
                Ok(frame) => {
                    let frame = self.newest(frame)?;
                    if let Some(bytes) = self.pass_on(&frame).await? {
                        return Some(bytes);
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    self.left_behind(missed);
                    return None;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn left_behind(&self, missed: u64) {
        self.app.feed.left_behind();
        tracing::info!(client_id = self.client_id, missed, "a receiver of revocations does not keep up; its stream ends");
    }

    /// The frame, or if it is a heartbeat and others wait already, the next one that is not outdated: a provider that has more to send than it
    /// can sends fewer heartbeats then, and leaves nobody behind for that.
    fn newest(&mut self, mut frame: Arc<Frame>) -> Option<Arc<Frame>> {
        // One that names clients may end us, though its entries were read by catching up.
        let skips = |event: &Event| event.seq == self.seq && event.at.is_some() && event.clients.is_empty();
        while matches!(&*frame, Frame::Message(event) if skips(event)) {
            match self.frames.try_recv() {
                Ok(next) => frame = next,
                Err(TryRecvError::Lagged(missed)) => {
                    self.left_behind(missed);
                    return None;
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        Some(frame)
    }

    /// The frame's bytes, if it has something for the receiver. None at the outside ends the stream.
    async fn pass_on(&mut self, frame: &Frame) -> Option<Option<Bytes>> {
        let Frame::Message(event) = frame else { return None };
        if event.clients.contains(&self.client_id) {
            tracing::info!(client_id = self.client_id, "the tokens of a receiver of revocations were refused; its stream ends");
            return None;
        }
        if let Some(At { moment: at, clock }) = &event.at {
            let at = *at;
            // The receiver could not measure by what follows. It comes again at once, and then by the new clock.
            if self.clock.as_ref().is_some_and(|first| first != clock) || at >= self.ends_at {
                return None;
            }
            if at >= self.check_at {
                self.check_at = at + CHECK_EVERY;
                Box::pin(self.may_still_read()).await?;
            }
        }
        if event.from > self.seq {
            // Published while nobody listened, or before we began to.
            self.lacking = true;
            return Some(None);
        }
        // Nothing new; or from a look that ended before ours did: what is less than the receiver has would be a gap to it.
        let moment = event.at.as_ref().map(|at| at.moment);
        if event.seq < self.seq || (event.seq == self.seq && moment.is_none_or(|at| at <= self.at)) {
            return Some(None);
        }
        self.has(event.seq, moment);
        self.app.feed.message_sent();
        Some(Some(event.sse.clone()))
    }

    /// Reads the next message that the receiver lacks. None if that fails: it may come again.
    async fn read_on(&mut self) -> Option<()> {
        let after = Cursor { log: self.log.to_string(), seq: self.seq };
        match catch_up::next(&self.app, &self.channel, Some(&after), self.nonce.as_deref()).await {
            // Another log: its numbers are none of the receiver's.
            Ok(piece) if piece.log != self.log => None,
            Ok(piece) => {
                self.take(piece);
                Some(())
            }
            Err(error) => {
                error.log();
                None
            }
        }
    }

    fn take(&mut self, piece: Piece) {
        self.has(piece.seq, piece.at.as_ref().map(|at| at.moment));
        self.lacking = piece.at.is_none();
        if let Some(at) = piece.at {
            self.clock.get_or_insert(at.clock);
        }
        if !self.lacking {
            self.nonce = None;
        }
        self.app.feed.message_sent();
        self.ready.extend([sse_begin(&piece.log, piece.seq).into(), piece.jws, Bytes::from_static(SSE_END.as_bytes())]);
    }

    fn has(&mut self, seq: i64, at: Option<Timestamp>) {
        self.seq = self.seq.max(seq);
        self.at = at.map_or(self.at, |at| self.at.max(at));
    }

    /// None if the client is gone, disabled, or hears for others than it did. While the database is away nobody is ended for that.
    async fn may_still_read(&self) -> Option<()> {
        let Ok(found) = self.app.clients.find(&self.app.store, &self.client_id, self.app.now()).await else { return Some(()) };
        let client = found.filter(|client| client.disabled_at.is_none() && !client.is_public())?;
        (request::audiences(&client) == self.channel.audiences).then_some(())
    }
}

/// This long, give or take a tenth.
fn jittered(long: Duration) -> Duration {
    let [random] = random_bytes::<1>();
    long * 9 / 10 + long / 5 * u32::from(random) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_a_tenth_at_most() {
        for _ in 0..1_000 {
            let long = jittered(LONGEST);
            assert!(Duration::from_secs(540) <= long && long <= Duration::from_secs(660), "{long:?}");
        }
    }
}
