//! Channels: what is published for all receivers with the same audiences, signed once. A receiver that does not keep up is left
//! behind and ended; it holds up nobody, and what waits for it is bounded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{Semaphore, broadcast};
use tokio::time::sleep;

use super::catch_up::Portions;
use super::clock_name::ClockName;
use super::places::Places;
use super::{At, end_of_log, name_log};
use crate::clock::{Clock, Timestamp};
use crate::error::OAuthError;
use crate::store::{Store, StoreError};

/// Messages that may wait for a receiver: eight seconds of heartbeats. The specification has it give up after three without progress.
const BACKLOG: usize = 32;

/// So many receivers are woken at once, and then the others wait a moment: thousands at once would keep every other request waiting
/// for as long as it takes to write to all of them.
const CROWD: usize = 256;
const MOMENT: Duration = Duration::from_millis(1);

/// So many receivers read at once what they lack. When thousands come at the same moment, the database's other connections are left
/// to the requests that need them, and to `follow`. Of one channel fewer: a resource server that asks again and again delays itself, not others.
const READ_AT_ONCE: usize = 3;
const READ_AT_ONCE_IN_CHANNEL: usize = 2;

/// When to come back after a refusal: soon, since another replica may have room.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The feed of this process.
pub struct Feed {
    state: Mutex<State>,
    /// Up to where everything was published. Held while a step of `follow` runs, of which there is thus one at a time.
    pub(super) published: tokio::sync::Mutex<Published>,
    /// Held while a portion is made that many may want: one at a time, so that a crowd after a restart costs as much as one.
    pub(super) making: tokio::sync::Mutex<()>,
    pub(super) reading: Semaphore,
    pub(super) clock_name: ClockName,
    pub(super) places: Places,
    sent: AtomicU64,
    lagged: AtomicU64,
    /// `Published::at`, in microseconds, for whoever does not want to wait for a step.
    at: AtomicI64,
}

#[derive(Default)]
struct State {
    channels: HashMap<Arc<[String]>, Arc<Channel>>,
    closed: bool,
}

/// How far `follow` has come.
pub(super) struct Published {
    pub log: Arc<str>,
    pub seq: i64,
}

/// One set of audiences.
pub(super) struct Channel {
    pub audiences: Arc<[String]>,
    /// A sender for each crowd.
    crowds: Mutex<Vec<broadcast::Sender<Arc<Frame>>>>,
    /// Signed messages for those who come with much to catch up on.
    pub portions: Mutex<Option<Portions>>,
    /// Held by each receiver that is told what it lacks.
    pub catching_up: Semaphore,
}

/// What a channel carries.
pub(super) enum Frame {
    Message(Event),
    /// Whoever gets this is to end: the provider stops, or what was published before does not hold any more.
    End,
}

/// A signed message, ready to be sent to any receiver that has everything up to `from`.
pub(super) struct Event {
    pub from: i64,
    pub seq: i64,
    pub at: Option<At>,
    /// Whether it has entries for the channel.
    pub news: bool,
    /// Clients whose tokens were refused by one of the log's new entries; disabled ones are among them.
    pub clients: Arc<[String]>,
    pub sse: Bytes,
}

/// What happened since the start, and is so now, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Open streams, and requests that wait for something new.
    pub streams: usize,
    /// Messages that were handed to receivers.
    pub sent: u64,
    /// Streams that were ended because their receiver did not keep up.
    pub lagged: u64,
    /// When the log was last looked at with success.
    pub looked_at: Timestamp,
}

impl Feed {
    /// A feed without receivers, which knows where the log ends at present. The log is named if it has no name yet.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn open(store: &Store, clock: &Clock) -> Result<Self, StoreError> {
        let (seq, log) = end_of_log(&mut store.read().await?).await?;
        let log = match log {
            Some(log) => log,
            None => name_log(store, None).await?,
        };
        Ok(Self {
            state: Mutex::default(),
            published: tokio::sync::Mutex::new(Published { log, seq }),
            making: tokio::sync::Mutex::default(),
            reading: Semaphore::new(READ_AT_ONCE),
            clock_name: ClockName::new(clock),
            places: Places::default(),
            sent: AtomicU64::new(0),
            lagged: AtomicU64::new(0),
            at: AtomicI64::new(clock.now().0),
        })
    }

    /// Ends every stream and every wait, and takes no more: the provider stops, and must not wait for those who wait for it.
    pub fn close(&self) {
        self.state().closed = true;
        self.end_all();
    }

    /// What is so at this moment.
    pub fn counters(&self) -> Counters {
        Counters {
            streams: self.places.taken(),
            sent: self.sent.load(Ordering::Relaxed),
            lagged: self.lagged.load(Ordering::Relaxed),
            looked_at: Timestamp(self.at.load(Ordering::Relaxed)),
        }
    }

    /// The channel for these (sorted) audiences, and what is published on it from now on.
    ///
    /// # Errors
    /// `temporarily_unavailable` when the provider is about to stop.
    pub(super) fn subscribe(
        &self,
        audiences: &Arc<[String]>,
    ) -> Result<(Arc<Channel>, broadcast::Receiver<Arc<Frame>>), OAuthError> {
        let mut state = self.state();
        if state.closed {
            return Err(OAuthError::busy(AGAIN_AFTER).because("the provider is about to stop"));
        }
        let new = || Arc::new(Channel::new(Arc::clone(audiences)));
        let channel = state.channels.entry(Arc::clone(audiences)).or_insert_with(new);
        Ok((Arc::clone(channel), channel.subscribe()))
    }

    /// The channels that somebody listens to. Forgets what nobody needs any more.
    pub(super) fn channels(&self, now: Timestamp) -> Vec<Arc<Channel>> {
        let mut state = self.state();
        state.channels.retain(|_, channel| channel.is_listened_to() | channel.keeps_portions(now));
        state.channels.values().filter(|channel| channel.is_listened_to()).cloned().collect()
    }

    /// Ends every stream; its receiver may come again.
    pub(super) fn end_all(&self) {
        for channel in self.state().channels.values() {
            *channel.portions() = None;
            let end = Arc::new(Frame::End);
            for crowd in channel.crowds().iter() {
                let _ = crowd.send(Arc::clone(&end));
            }
        }
    }

    pub(super) fn looked_at(&self, at: Timestamp) {
        self.at.store(at.0, Ordering::Relaxed);
    }

    pub(super) fn message_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn left_behind(&self) {
        self.lagged.fetch_add(1, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it, and the state is whole at any moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    fn new(audiences: Arc<[String]>) -> Self {
        let catching_up = Semaphore::new(READ_AT_ONCE_IN_CHANNEL);
        Self { audiences, crowds: Mutex::default(), portions: Mutex::new(None), catching_up }
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<Frame>> {
        let mut crowds = self.crowds();
        match crowds.iter().find(|crowd| crowd.receiver_count() < CROWD) {
            Some(crowd) => crowd.subscribe(),
            None => {
                let (crowd, receiver) = broadcast::channel(BACKLOG);
                crowds.push(crowd);
                receiver
            }
        }
    }

    /// Hands a frame to everybody who listens. `woken` counts how many were, since the last moment that others had.
    pub async fn publish(&self, frame: Frame, woken: &mut usize) {
        let frame = Arc::new(frame);
        let crowds = self.crowds().clone();
        for crowd in crowds {
            if *woken >= CROWD {
                sleep(MOMENT).await;
                *woken = 0;
            }
            *woken += crowd.receiver_count();
            // Nobody is left in it: then nobody is told.
            let _ = crowd.send(Arc::clone(&frame));
        }
    }

    fn crowds(&self) -> MutexGuard<'_, Vec<broadcast::Sender<Arc<Frame>>>> {
        self.crowds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn portions(&self) -> MutexGuard<'_, Option<Portions>> {
        self.portions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Also forgets crowds of whom nobody is left.
    fn is_listened_to(&self) -> bool {
        let mut crowds = self.crowds();
        crowds.retain(|crowd| crowd.receiver_count() > 0);
        !crowds.is_empty()
    }

    /// Also drops those that are too old.
    fn keeps_portions(&self, now: Timestamp) -> bool {
        let mut portions = self.portions();
        if portions.as_ref().is_some_and(|portions| !portions.are_fresh(now)) {
            *portions = None;
        }
        portions.is_some()
    }
}
