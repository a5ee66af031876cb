//! The log and its denylist together: committing, checking and following.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::ConnectionManager;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, timeout};
use tracing::Instrument;

use super::denylist::{Denylist, DenylistError, TokenFacts, Verdict};
use super::exchanged::{self, Cascade};
use super::in_process::InProcess;
use super::in_redis::InRedis;
use super::nudge::Caller;
use crate::clock::{Clock, Timestamp};
use crate::model::{Revocation, RevocationKind};
use crate::store::revocations::{self, Appended};
use crate::store::{Conn, Store, StoreError, Tx};

/// How often a process looks for what others wrote to the log. A revocation by another process is known this soon even where there is no
/// Redis to share a denylist in.
pub const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// A process that has not seen the log for longer than this asks SQL before it accepts a token.
const KNOWLEDGE_LASTS: Duration = Duration::from_secs(1);

/// Following that takes longer asks a database that says nothing any more. It is given up, and the next step takes another connection.
const LONGEST_STEP: Duration = Duration::from_secs(5);

/// Entries applied at once. A whole log is applied in such portions, so that neither Redis nor a look-up waits long.
const PORTION: i64 = 500;

/// Entries stay in the log this long after they expired.
const KEEP_EXPIRED: Duration = Duration::from_secs(3600);

/// The revocations of this installation. Clones are the same one.
#[derive(Clone)]
pub struct Revocations(Arc<Inner>);

struct Inner {
    store: Store,
    denylist: Box<dyn Denylist>,
    clock: Clock,
    /// The greatest number in the log that this process knows to be committed.
    known_seq: AtomicI64,
    /// When this process last learned where the log ends; microseconds. Before then nothing may have been missed.
    followed_at: AtomicI64,
    /// Set when Redis failed: only the follower asks it then, so that not every request waits in vain.
    denylist_failed: AtomicBool,
    behind: Notify,
    /// Told of each commit here, and of others' through Redis.
    grew: Notify,
    /// Told when a session was ended, here or elsewhere.
    session_ended: Notify,
    /// Tells other replicas; none without Redis.
    caller: Option<Caller>,
    /// Entries that this process committed, by kind.
    written: [AtomicU64; 5],
    lookups: AtomicU64,
    sql_fallbacks: AtomicU64,
}

/// What happened since the start, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Tokens that were looked up.
    pub lookups: u64,
    /// Revocations that this process wrote, in the order of `RevocationKind::ALL`.
    pub committed: [u64; 5],
    /// Of these, those that SQL had to answer for.
    pub sql_fallbacks: u64,
}

impl Revocations {
    /// Reads the log and fills the denylist: in Redis, under `prefix`, if there is one, and else in this process. Redis may be away.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn start(store: Store, redis: Option<(ConnectionManager, &str)>, clock: Clock) -> Result<Self, StoreError> {
        let caller = redis.as_ref().map(|(connection, prefix)| Caller::new(connection.clone(), prefix));
        let denylist: Box<dyn Denylist> = match redis {
            Some((connection, prefix)) => Box::new(InRedis::new(connection, prefix)),
            None => Box::new(InProcess::default()),
        };
        let revocations = Self(Arc::new(Inner {
            store,
            denylist,
            clock,
            known_seq: AtomicI64::new(0),
            followed_at: AtomicI64::new(i64::MIN),
            denylist_failed: AtomicBool::new(false),
            behind: Notify::new(),
            grew: Notify::new(),
            session_ended: Notify::new(),
            caller,
            written: Default::default(),
            lookups: AtomicU64::new(0),
            sql_fallbacks: AtomicU64::new(0),
        }));
        revocations.follow().await?;
        Ok(revocations)
    }

    /// Appends `entries` to the log in the transaction of the change that they report, with those of the tokens that were exchanged for
    /// what they refuse; commits it, and makes the denylist refuse. When this returns the tokens are refused. If the caller is dropped meanwhile (its client hung up), a commit that was begun is
    /// finished all the same. That Redis fails is no failure: SQL answers until it is repaired.
    ///
    /// # Errors
    /// If the database does not commit. As with every commit, a lost connection can leave it unknown whether it did.
    pub async fn commit(&self, mut tx: Tx, entries: Vec<Revocation>) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        let appended = revocations::append(&mut tx, entries, now).await?;
        let cascade = exchanged::append_too(&mut tx, &appended, now).await?;
        let this = self.clone();
        let finish = async move {
            tx.commit().await?;
            for (kind, count) in RevocationKind::ALL.iter().zip(&this.0.written) {
                let written = appended.entries.iter().filter(|entry| entry.kind == *kind).count() as u64;
                let besides = if *kind == RevocationKind::Token { cascade.tokens } else { 0 };
                count.fetch_add(written + besides, Ordering::Relaxed);
            }
            this.0.committed(&appended, cascade).await;
            Ok(())
        };
        match tokio::spawn(finish.in_current_span()).await {
            Ok(result) => result,
            Err(stopped) => match stopped.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Cancelled: the runtime is being shut down, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Waits until the log has probably grown: this process has committed, or another one said so through Redis. For one waiter, which
    /// looks at the log now and then by itself too: without Redis nobody tells what other processes write.
    pub async fn grown(&self) {
        self.0.grew.notified().await;
    }

    /// Waits until a session has been ended: by this process at once, by another one when its entry is seen here. For one waiter, which
    /// asks the database what that means, and asks now and then by itself too.
    pub async fn session_ended(&self) {
        self.0.session_ended.notified().await;
    }

    /// Ends the wait in `grown`, or the next one if nobody waits at present.
    pub fn nudge(&self) {
        self.0.grew.notify_one();
    }

    /// Whether this token is refused. To be asked after everything about the token itself was verified.
    ///
    /// # Errors
    /// If the denylist cannot vouch for the token and the database does not answer: the token is not to be accepted then.
    pub async fn check(&self, facts: &TokenFacts<'_>) -> Result<Verdict, StoreError> {
        let inner = &*self.0;
        inner.lookups.fetch_add(1, Ordering::Relaxed);
        let now = inner.clock.now();
        // Read before the look-up: what is committed later need not be in its answer.
        let known_seq = inner.known_seq.load(Ordering::SeqCst);
        let fresh = inner.knowledge_is_fresh(now);
        if !inner.denylist_failed.load(Ordering::Relaxed) {
            match inner.denylist.look_up(facts, now).await {
                Ok(answer) => {
                    if let Some(kind) = answer.refused {
                        return Ok(Verdict::Refused(kind));
                    }
                    if fresh && answer.complete_to >= known_seq {
                        return Ok(Verdict::Accepted);
                    }
                }
                Err(error) => inner.denylist_fails(&error),
            }
        }
        inner.sql_fallbacks.fetch_add(1, Ordering::Relaxed);
        inner.ask_sql(facts, now).await
    }

    /// One step of following the log: learns where it ends, brings the denylist up to there, and repairs it if Redis lost something.
    ///
    /// # Errors
    /// If the database does not answer. That Redis does not is logged, and it is tried again at the next step.
    pub async fn follow(&self) -> Result<(), StoreError> {
        self.0.follow().await
    }

    /// Follows the log until `shutdown`. Every process that checks tokens needs this; a command that only commits does not.
    pub fn spawn_follower(&self, shutdown: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let this = self.clone();
        let follow = async move {
            let mut ticks = tokio::time::interval(FOLLOW_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut failed = false;
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = this.0.behind.notified() => {}
                }
                let followed = timeout(LONGEST_STEP, this.follow()).await;
                match followed.unwrap_or(Err(StoreError::Late)) {
                    Ok(()) => failed = false,
                    Err(error) if failed => tracing::debug!(%error, "the revocation log still cannot be read"),
                    Err(error) => {
                        failed = true;
                        tracing::error!(%error, "the revocation log cannot be read: tokens are not accepted until the database answers");
                    }
                }
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = follow => {}
                () = shutdown => {}
            }
        })
    }

    /// Deletes what has long expired from the log, and says how many entries it was. For the periodic clean-up.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let before = self.0.clock.now().minus(KEEP_EXPIRED);
        let mut all = 0;
        loop {
            let mut tx = self.0.store.begin().await?;
            let portion = revocations::purge(&mut tx, before).await?;
            tx.commit().await?;
            all += portion;
            if portion == 0 {
                return Ok(all);
            }
        }
    }

    /// The number of the last entry that this process knows to be committed.
    pub fn known_seq(&self) -> i64 {
        self.0.known_seq.load(Ordering::SeqCst)
    }

    /// What happened since the start.
    pub fn counters(&self) -> Counters {
        Counters {
            lookups: self.0.lookups.load(Ordering::Relaxed),
            committed: self.0.written.each_ref().map(|count| count.load(Ordering::Relaxed)),
            sql_fallbacks: self.0.sql_fallbacks.load(Ordering::Relaxed),
        }
    }

    /// Whether Redis failed and SQL answers in its place until it is repaired. Never true without Redis.
    pub fn redis_is_away(&self) -> bool {
        self.0.denylist_failed.load(Ordering::Relaxed)
    }
}

impl Inner {
    /// Entries of this process are in the log: from here on only a denylist that has them is believed.
    async fn committed(&self, Appended { after, entries }: &Appended, cascade: Cascade) {
        let Some(last) = entries.last() else { return };
        self.known_seq.fetch_max(cascade.last.max(last.seq), Ordering::SeqCst);
        self.grew.notify_one();
        self.tell_of_sessions(entries);
        if self.denylist_failed.load(Ordering::Relaxed) {
            return;
        }
        let call = async {
            if let Some(caller) = &self.caller {
                caller.call().await;
            }
        };
        let (applied, ()) = tokio::join!(self.denylist.apply(*after, last.seq, entries, self.clock.now()), call);
        match applied {
            Ok(complete_to) if complete_to >= last.seq => {}
            // Someone else's entry before ours is not there yet. Until it is, SQL answers.
            Ok(_) => self.behind.notify_one(),
            Err(error) => return self.denylist_fails(&error),
        }
        if cascade.tokens > 0 {
            self.apply_cascade(last.seq, cascade.last).await;
        }
    }

    /// What was appended besides may be very much: it is applied as the follower would. What fails here is left to that one, and SQL
    /// answers until then.
    async fn apply_cascade(&self, after: i64, last: i64) {
        let apply = async { self.catch_up(&mut self.store.read().await?, Ok(after), last, self.clock.now(), false).await };
        match apply.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.denylist_fails(&error),
            Err(error) => {
                tracing::warn!(%error, "revocations that were just committed could not be read, and will be tried again")
            }
        }
        self.behind.notify_one();
    }

    fn tell_of_sessions(&self, entries: &[Revocation]) {
        if entries.iter().any(|entry| entry.kind == RevocationKind::Session) {
            self.session_ended.notify_one();
        }
    }

    async fn follow(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let known_before = self.known_seq.load(Ordering::SeqCst);
        let complete_to = self.denylist.complete_to().await;
        let mut conn = self.store.read().await?;
        // Read last: both numbers above were committed before, so they exceed it only if the log has become shorter.
        let last = revocations::last_seq(&mut conn).await?;
        if known_before > last {
            tracing::warn!(known_before, last, "the revocation log has become shorter: was the database restored from a backup?");
            // Fails if an entry was committed meanwhile; the next step will see.
            let _ = self.known_seq.compare_exchange(known_before, last, Ordering::SeqCst, Ordering::SeqCst);
        }
        self.known_seq.fetch_max(last, Ordering::SeqCst);
        // What had expired by a clock that was set back is in force again, and may have been left out.
        let set_back = now + KNOWLEDGE_LASTS < Timestamp(self.followed_at.swap(now.0, Ordering::SeqCst));
        match self.catch_up(&mut conn, complete_to, last, now, set_back).await? {
            Ok(()) if self.denylist_failed.swap(false, Ordering::Relaxed) => tracing::info!("Redis has the revocations again"),
            Ok(()) => {}
            Err(error) => self.denylist_fails(&error),
        }
        Ok(())
    }

    /// Applies what the log has after `complete_to`, in portions; all of it if the denylist knows of more than there is, or the clock was set back.
    async fn catch_up(
        &self,
        conn: &mut Conn,
        complete_to: Result<i64, DenylistError>,
        last: i64,
        now: Timestamp,
        set_back: bool,
    ) -> Result<Result<(), DenylistError>, StoreError> {
        let mut complete_to = match complete_to {
            Ok(complete_to) => complete_to,
            Err(error) => return Ok(Err(error)),
        };
        if complete_to > last || set_back {
            if let Err(error) = self.denylist.rewind(complete_to).await {
                return Ok(Err(error));
            }
            complete_to = 0;
        }
        loop {
            let entries = revocations::since(conn, complete_to, now, PORTION).await?;
            self.tell_of_sessions(&entries);
            let read_to = entries.last().map_or(complete_to, |entry| entry.seq);
            let whole = i64::try_from(entries.len()).is_ok_and(|count| count < PORTION);
            // A portion that is not full ends at the end of the log, which was at least `last`.
            let to = if whole { read_to.max(last) } else { read_to };
            match self.denylist.apply(complete_to, to, &entries, now).await {
                // Redis lost something meanwhile. The next step starts from there.
                Ok(reached) if reached < to => return Ok(Ok(())),
                Ok(_) if whole => return Ok(Ok(())),
                Ok(_) => complete_to = to,
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    async fn ask_sql(&self, facts: &TokenFacts<'_>, now: Timestamp) -> Result<Verdict, StoreError> {
        exchanged::ask_log(&mut self.store.read().await?, facts, now).await
    }

    /// A clock that was set back makes knowledge stale too.
    fn knowledge_is_fresh(&self, now: Timestamp) -> bool {
        let followed_at = Timestamp(self.followed_at.load(Ordering::SeqCst));
        followed_at <= now && now <= followed_at + KNOWLEDGE_LASTS
    }

    fn denylist_fails(&self, error: &DenylistError) {
        if self.denylist_failed.swap(true, Ordering::Relaxed) {
            tracing::debug!(%error, "the denylist in Redis still fails");
        } else {
            tracing::warn!(%error, "the denylist in Redis failed: revocations are read from the database until it is repaired");
        }
    }
}
