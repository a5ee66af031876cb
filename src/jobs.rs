//! Periodic work. Each step may run on several replicas at once: it is either harmless to repeat or guarded in the database.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::app::App;
use crate::clock::Timestamp;
use crate::lifecycle;
use crate::oidc::{logout, revocation_feed};
use crate::revocation;
use crate::store::{
    StoreError, access_tokens, audit, authorization, clients, device_authorizations, exchanged_tokens, logout_deliveries,
    pushed_requests, registration, sessions, status_lists, token_families,
};

/// Another process's change to the signing keys is seen within this time, and a rotation that is due happens.
const KEYS_EVERY: Duration = Duration::from_secs(2);
/// While it lasts nobody else in this process reads the keys. Longer than it takes to make some; a database that has said nothing for so
/// long says nothing more on that connection.
const LONGEST_KEYS_STEP: Duration = Duration::from_secs(30);
const CLEAN_UP_EVERY: Duration = Duration::from_secs(600);

/// What has expired is kept this much longer: a replayed code must find what it yielded, and an operator what happened.
const KEPT_FOR: Duration = Duration::from_secs(86_400);

/// How much longer than it is accepted a used assertion is remembered: more than clocks of replicas differ.
const ASSERTIONS_KEPT_FOR: Duration = Duration::from_secs(3_600);

/// For an operator to see which apps were not told.
const FAILED_LOGOUTS_KEPT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// A status list is served this much longer than its last token lives: more than clocks differ and any leeway.
const STATUS_LISTS_KEPT_FOR: Duration = Duration::from_secs(600);

/// Starts everything that runs beside requests, until `stop` says so.
pub fn spawn(app: &Arc<App>, stop: watch::Receiver<bool>) {
    let mut stopped = stop.clone();
    app.revocations.spawn_follower(async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    tokio::spawn(revocation_feed::run(Arc::clone(app), stop.clone()));
    tokio::spawn(logout::backchannel::run(Arc::clone(app), stop.clone()));
    tokio::spawn(listen(Arc::clone(app), stop.clone()));
    tokio::spawn(every(KEYS_EVERY, stop.clone(), Arc::clone(app), async |app: &App| {
        timeout(LONGEST_KEYS_STEP, lifecycle::key::tick(app)).await?
    }));
    tokio::spawn(every(CLEAN_UP_EVERY, stop, Arc::clone(app), async |app: &App| Ok(clean_up(app).await?)));
}

/// Hears of revocations by other replicas at once, where there is a Redis to hear by.
async fn listen(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let Some(url) = &app.config.redis.url else { return };
    tokio::select! {
        listened = revocation::listen_to_redis(url, &app.config.redis.prefix, &app.revocations) => {
            if let Err(error) = listened {
                tracing::warn!(%error, "other replicas' revocations are not heard of at once");
            }
        }
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn every(period: Duration, mut stop: watch::Receiver<bool>, app: Arc<App>, step: impl AsyncFn(&App) -> anyhow::Result<()>) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if let Err(error) = step(&app).await {
            tracing::warn!(%error, "periodic work failed and will be tried again");
        }
    }
}

/// Forgets what nobody can use any more.
///
/// # Errors
/// If the database does not answer.
pub async fn clean_up(app: &App) -> Result<(), StoreError> {
    let now = app.now();
    let before = now.minus(KEPT_FOR);
    // One transaction each: on SQLite a long one would hold up sign-ins.
    let mut tx = app.store.begin().await?;
    authorization::purge_requests(&mut tx, now).await?;
    pushed_requests::purge(&mut tx, now).await?;
    // A replica whose clock is behind accepts an assertion that has expired here.
    clients::purge_assertions(&mut tx, now.minus(ASSERTIONS_KEPT_FOR)).await?;
    // Likewise.
    exchanged_tokens::purge(&mut tx, now.minus(ASSERTIONS_KEPT_FOR)).await?;
    tx.commit().await?;
    let mut tx = app.store.begin().await?;
    authorization::purge_codes(&mut tx, before).await?;
    access_tokens::purge(&mut tx, before).await?;
    device_authorizations::purge(&mut tx, before).await?;
    token_families::purge_tokens(&mut tx, before).await?;
    tx.commit().await?;
    let mut tx = app.store.begin().await?;
    token_families::purge(&mut tx, before).await?;
    sessions::purge(&mut tx, before).await?;
    logout_deliveries::purge(&mut tx, now.minus(FAILED_LOGOUTS_KEPT_FOR)).await?;
    tx.commit().await?;
    let mut tx = app.store.begin().await?;
    audit::purge(&mut tx, now.minus(Duration::from_secs(app.config.log.audit_retention.into()))).await?;
    tx.commit().await?;
    let mut tx = app.store.begin().await?;
    registration::purge_tokens(&mut tx, before).await?;
    tx.commit().await?;
    lifecycle::client::forget_unused(app).await?;
    app.revocations.purge().await?;
    purge_status_lists(app, now.minus(STATUS_LISTS_KEPT_FOR)).await
}

/// The list itself goes last, so that what is left of a purge that was cut short is found by the next one.
async fn purge_status_lists(app: &App, before: Timestamp) -> Result<(), StoreError> {
    let expired = status_lists::expired(&mut app.store.read().await?, before).await?;
    for list in expired {
        loop {
            let mut tx = app.store.begin().await?;
            let purged = status_lists::purge_entries(&mut tx, &list.id).await?;
            if purged == 0 {
                status_lists::delete(&mut tx, &list.id).await?;
            }
            tx.commit().await?;
            if purged == 0 {
                break;
            }
        }
    }
    Ok(())
}
