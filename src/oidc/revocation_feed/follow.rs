//! Following the log for those who are connected: look, sign once for each channel, publish.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::catch_up::{end_of, since};
use super::channel::{Event, Frame, Published};
use super::message::{Message, Room, log_name, sse};
use super::{At, Look, PORTION, in_time, look, name_log};
use crate::app::App;
use crate::model::{Revocation, RevocationKind};
use crate::revocation::FOLLOW_EVERY;
use crate::store::StoreError;

/// Batches are at least this far apart: what is revoked meanwhile is signed together.
const BATCHES_APART: Duration = Duration::from_millis(100);

/// Publishes until `stop`: what was revoked at once, and a heartbeat at each `every`.
pub async fn run(app: Arc<App>, stop: watch::Receiver<bool>) {
    run_every(app, FOLLOW_EVERY, stop).await;
}

/// As `run`, with heartbeats as far apart as `every`.
pub async fn run_every(app: Arc<App>, every: Duration, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_batch = Instant::now();
    let mut failed = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = async {
                app.revocations.grown().await;
                sleep_until(next_batch).await;
            } => ticks.reset(),
            _ = stop.wait_for(|stop| *stop) => return,
        }
        match step(&app).await {
            Ok(published) => {
                failed = false;
                if published == Step::Entries {
                    next_batch = Instant::now() + BATCHES_APART;
                }
            }
            Err(error) if failed => tracing::debug!(%error, "the revocation feed still stands still"),
            Err(error) => {
                failed = true;
                tracing::error!(%error, "the revocation feed stands still: receivers notice, and accept nothing on their own");
            }
        }
    }
}

/// What a step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The log has grown.
    Entries,
    /// Nothing new.
    Heartbeat,
}

/// One step: publishes what the log has that was not published, and that there is no more.
///
/// # Errors
/// If the database does not answer: nothing is published then, so that receivers notice. If nothing can be signed: then every stream
/// is ended, too.
pub async fn step(app: &Arc<App>) -> anyhow::Result<Step> {
    let mut published = app.feed.published.lock().await;
    let (mut found, mut woken) = (Step::Heartbeat, 0);
    loop {
        // Before the look, and only what was looked at is said to be so: while the database is away, `at` stands still.
        let at = app.feed.clock_name.now(&app.clock);
        let now = at.moment;
        let channels = app.feed.channels(now);
        // Only what is read has a limit of time: to sign much for many channels may take long, and must end with it published.
        let (look, mut entries) = in_time(read(app, at, &published, !channels.is_empty())).await?;
        if look.log != published.log || look.last < published.seq {
            published.log = in_time(began_anew(app, &look, &published.log)).await?;
            published.seq = look.last;
            return Ok(found);
        }
        let (mut room, read) = (Room::new(), entries.len());
        entries.truncate(entries.iter().take_while(|entry| room.takes(entry)).count());
        let whole = read < PORTION && entries.len() == read;
        let seq = end_of(&entries, if whole { look.last } else { published.seq });
        if !channels.is_empty() {
            let refused = entries.iter().filter(|entry| entry.kind == RevocationKind::Client);
            let clients: Arc<[String]> = refused.map(|entry| entry.id.clone()).collect();
            let message = Message {
                audiences: Arc::new([]),
                log: Arc::from(""),
                from: published.seq,
                seq,
                at: whole.then(|| look.at.clone()),
                nonce: None,
                entries: Arc::new(entries),
            };
            // Once for all of them: it reads the keys anew if ours was revoked.
            let keys = match look.keys(app).await {
                Ok(keys) => keys,
                Err(error) => {
                    app.feed.end_all();
                    return Err(error);
                }
            };
            for channel in channels {
                let log = log_name(&look.log, &channel.audiences);
                let message = Message { audiences: Arc::clone(&channel.audiences), log: Arc::clone(&log), ..message.clone() };
                let news = message.has_entries();
                match message.sign(&app.issuer.url, Arc::clone(&keys), app.now()).await {
                    Ok(jws) => {
                        let event = Event {
                            from: published.seq,
                            seq,
                            at: whole.then(|| look.at.clone()),
                            news,
                            clients: Arc::clone(&clients),
                            sse: sse(&log, seq, &jws),
                        };
                        channel.publish(Frame::Message(event), &mut woken).await;
                    }
                    Err(error) => {
                        app.feed.end_all();
                        return Err(error);
                    }
                }
            }
        }
        if seq > published.seq {
            found = Step::Entries;
        }
        published.seq = seq;
        if whole {
            app.feed.looked_at(now);
            return Ok(found);
        }
    }
}

/// Looks at the log, and reads what was not published of it, if somebody listens.
async fn read(app: &App, at: At, published: &Published, wanted: bool) -> Result<(Look, Vec<Revocation>), StoreError> {
    let now = at.moment;
    let mut conn = app.store.read().await?;
    let look = look(app, &mut conn, at).await?;
    let entries = match wanted && look.log == published.log && look.last > published.seq {
        true => since(&mut conn, published.seq, now, PORTION).await?,
        false => Vec::new(),
    };
    Ok((look, entries))
}

/// The log is another one, or has become shorter: the database was restored from a backup. Numbers that receivers have will be given
/// again, so the log gets a new name, unless another process has just given it one, and every receiver begins anew.
async fn began_anew(app: &App, look: &Look, published: &str) -> anyhow::Result<Arc<str>> {
    tracing::warn!(
        "the revocation log is not the one from before: was the database restored from a backup? Receivers begin anew"
    );
    let log = match *look.log == *published {
        true => name_log(&app.store, Some(published)).await?,
        false => Arc::clone(&look.log),
    };
    app.feed.end_all();
    Ok(log)
}
