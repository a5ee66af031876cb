//! Back-channel logout (OpenID Connect Back-Channel Logout 1.0): each client of a session that has ended is sent a logout token, from a
//! queue in the database. Any replica sends; each delivery is one's alone while it lasts, and is begun again if that one dies.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::resting::Resting;
use super::token::logout_token;
use crate::app::App;
use crate::lifecycle;
use crate::model::secret::random_bytes;
use crate::model::{Client, LogoutDelivery};
use crate::store::{StoreError, clients, logout_deliveries};

/// How often the queue is looked at when nothing happens: for what is tried again, and for sessions that others ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Requests at once, of this process.
const AT_ONCE: usize = 64;

/// Of these, to one client: one that is slow takes no more of them.
const AT_ONCE_TO_ONE: usize = 4;

/// Deliveries to one client that are read at once.
const PORTION: i64 = 100;

/// How much longer than a request may last a delivery is its sender's: to note the outcome, and for clocks that differ.
const NOTING: Duration = Duration::from_secs(20);

/// The wait after the first failure. Each one after that is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// A client that has not answered for so long is told no more.
const TRIED_FOR: Duration = Duration::from_secs(86_400);

/// What came of a request.
enum Outcome {
    /// 200 or 204 (§2.8).
    Done,
    /// The client understood, and said no: sending it again would not be right (§2.5).
    Refused(String),
    /// It may work later.
    Failed(String),
}

/// Sends what is due, until `stop` says so: at once when a session ends.
pub async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    // One worker for each client, so that none waits for another.
    let mut workers: JoinSet<Result<bool, StoreError>> = JoinSet::new();
    let mut busy: HashMap<Id, String> = HashMap::new();
    let mut resting = Resting::default();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => resting.look(),
            () = app.revocations.session_ended() => {}
            Some(ended) = workers.join_next_with_id() => {
                let (id, result) = ended.unwrap_or_else(|error| (error.id(), Ok(false)));
                if let Some(client_id) = busy.remove(&id) {
                    rise_or_rest(&mut resting, &client_id, result);
                }
            }
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let due = match clients_due(&app).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "which apps to tell of ended sessions could not be read, and will be tried again");
                continue;
            }
        };
        for client_id in due {
            if !resting.rests(&client_id) && busy.values().all(|other| *other != client_id) {
                let (app, slots, id) = (Arc::clone(&app), Arc::clone(&slots), client_id.clone());
                let worker = workers.spawn(async move { deliver_to(&app, &id, &slots).await });
                busy.insert(worker.id(), client_id);
            }
        }
    }
}

/// Sends everything that is due at this moment, once.
///
/// # Errors
/// If the database does not answer.
pub async fn deliver_due(app: &App) -> Result<(), StoreError> {
    let slots = Semaphore::new(AT_ONCE);
    let due = clients_due(app).await?;
    join_all(due.iter().map(|client_id| deliver_to(app, client_id, &slots))).await.into_iter().try_for_each(|told| told.map(drop))
}

async fn clients_due(app: &App) -> Result<Vec<String>, StoreError> {
    let mut conn = app.store.read().await?;
    if app.metrics.is_on() {
        // A gauge is a float; no count is so great that this loses anything.
        app.metrics.logout_deliveries_waiting.set(logout_deliveries::waiting(&mut conn).await? as f64);
    }
    logout_deliveries::clients_due(&mut conn, app.now()).await
}

/// What ended without being done is still due. Beginning again at once would be a loop without a pause.
fn rise_or_rest(resting: &mut Resting, client_id: &str, result: Result<bool, StoreError>) {
    if let Ok(true) = result {
        resting.rise(client_id);
        return;
    }
    let is_first = resting.rest(client_id);
    match result.err() {
        Some(error) if is_first => {
            tracing::warn!(client_id, %error, "telling an app of ended sessions was broken off, and will be tried again");
        }
        Some(error) => tracing::debug!(client_id, %error, "telling an app of ended sessions was broken off again"),
        None if is_first => {
            tracing::warn!(client_id, "an app cannot be told of ended sessions at present; it will be tried again")
        }
        None => tracing::debug!(client_id, "an app still cannot be told of ended sessions"),
    }
}

/// Sends what is due to one client, until nothing is, or others are at it. `false` if nothing can be sent at present.
async fn deliver_to(app: &App, client_id: &str, slots: &Semaphore) -> Result<bool, StoreError> {
    loop {
        // Not from the cache: its address may just have been corrected.
        let mut conn = app.store.read().await?;
        let Some(client) = clients::find(&mut conn, client_id).await? else { return Ok(true) };
        let due = logout_deliveries::due_of_client(&mut conn, client_id, app.now(), PORTION).await?;
        drop(conn);
        let Some(uri) = &client.metadata.backchannel_logout_uri else {
            let mut tx = app.store.begin().await?;
            logout_deliveries::drop_of_client(&mut tx, client_id).await?;
            tx.commit().await?;
            return Ok(true);
        };
        if due.is_empty() {
            return Ok(true);
        }
        // A token under a key that was revoked meanwhile would be refused for good.
        if !app.confirm_keys().await {
            return Ok(false);
        }
        let sent = AtomicBool::new(false);
        let each = stream::iter(due).map(Ok::<_, StoreError>).try_for_each_concurrent(AT_ONCE_TO_ONE, |mut delivery| {
            let (client, sent) = (&client, &sent);
            async move {
                // The semaphore is never closed.
                let _slot = slots.acquire().await.ok();
                if take(app, &mut delivery).await? {
                    sent.store(true, Ordering::Relaxed);
                    let outcome = send(app, client, uri, &delivery).await;
                    note(app, &delivery, outcome).await?;
                }
                Ok(())
            }
        });
        each.await?;
        if !sent.into_inner() {
            return Ok(true);
        }
    }
}

/// Makes a delivery this process's own for as long as an attempt can last. `false` if another one has it.
async fn take(app: &App, delivery: &mut LogoutDelivery) -> Result<bool, StoreError> {
    // Twice: the client's key to encrypt to may have to be fetched as well.
    let until = app.now() + Duration::from_secs(app.config.outbound.timeout.into()) * 2 + NOTING;
    let mut tx = app.store.begin().await?;
    if !logout_deliveries::take(&mut tx, delivery, until).await? {
        return Ok(false);
    }
    tx.commit().await?;
    delivery.attempts += 1;
    Ok(true)
}

async fn send(app: &App, client: &Client, uri: &str, delivery: &LogoutDelivery) -> Outcome {
    let token = match logout_token(app, client, delivery).await {
        Ok(token) => token,
        Err(error) => return Outcome::Failed(error.detail.unwrap_or_else(|| error.description.into_owned())),
    };
    // The status says all: what an app answers beside it may be as long as it likes.
    let status = match app.outbound.post_form(uri, &[("logout_token", &token)]).await {
        Ok(status) => status,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    match status {
        200 | 204 => Outcome::Done,
        // Not found, too early, too busy: as while an app is being started.
        404 | 408 | 425 | 429 => Outcome::Failed(format!("it answered {status}")),
        400..=499 => Outcome::Refused(format!("it answered {status}")),
        _ => Outcome::Failed(format!("it answered {status}")),
    }
}

async fn note(app: &App, delivery: &LogoutDelivery, outcome: Outcome) -> Result<(), StoreError> {
    let (client_id, session, attempt) = (&delivery.client_id, &delivery.session_id, delivery.attempts);
    let now = app.now();
    let again_at = now + pause(attempt, random_bytes());
    let (error, is_last) = match outcome {
        Outcome::Done => {
            let mut tx = app.store.begin().await?;
            logout_deliveries::delivered(&mut tx, delivery).await?;
            tx.commit().await?;
            app.metrics.logout_delivered.increment(1);
            tracing::info!(client_id, session, attempt, "the app knows that the session has ended");
            return Ok(());
        }
        Outcome::Refused(error) => (error, true),
        Outcome::Failed(error) => (error, again_at.since(delivery.created_at) > TRIED_FOR),
    };
    if is_last {
        if lifecycle::logout::give_up(app, delivery, &error).await? {
            app.metrics.logout_given_up.increment(1);
            tracing::warn!(client_id, session, attempt, error, "the app was not told that a session has ended, and will not be");
        }
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    logout_deliveries::failed(&mut tx, delivery, again_at, &error).await?;
    tx.commit().await?;
    app.metrics.logout_failed.increment(1);
    let next = again_at.rfc3339();
    tracing::warn!(client_id, session, attempt, error, next, "the app could not be told that a session has ended");
    Ok(())
}

/// How long to wait after this many attempts (§2.5). Up to a quarter more by chance, so that what failed at once is not tried at once.
fn pause(attempts: i64, [chance]: [u8; 1]) -> Duration {
    let doublings = attempts.saturating_sub(1).clamp(0, 16);
    let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    pause + pause.mul_f64(f64::from(chance) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour_and_vary() {
        let seconds = |attempts, chance| pause(attempts, [chance]).as_secs();
        assert_eq!([1, 2, 3, 4, 11].map(|attempts| seconds(attempts, 0)), [5, 10, 20, 40, 3_600]);
        assert_eq!([i64::MIN, 0, i64::MAX].map(|attempts| seconds(attempts, 0)), [5, 5, 3_600]);
        assert!(seconds(i64::MAX, 255) > 4_400 && seconds(i64::MAX, 255) < 4_500);
    }
}
