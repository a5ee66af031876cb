//! The revocation feed for resource servers, as docs/revocation-feed.md specifies it: `/revocations` and `/revocations/stream`.
//!
//! `follow` looks at the log every quarter of a second, and at once when something was revoked, and publishes what it finds on each
//! `channel`: one signed message for all receivers with the same audiences. What a receiver lacks when it comes (`catch_up`) is read
//! for it from the database, which it also asks when it finds a gap; so nothing depends on a receiver having been there in time.
//!
//! Not here: what a revocation is and when there is one (`revocation`, `lifecycle`); what a receiver makes of it.

mod catch_up;
mod channel;
mod clock_name;
mod endpoints;
mod follow;
mod message;
mod places;
mod request;
mod stream;
#[cfg(test)]
mod tests;

pub use channel::{Counters, Feed};
pub use endpoints::{get_feed, get_stream, post_feed, post_stream};
pub use follow::{Step, run, run_every, step};

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::timeout;

use crate::app::App;
use crate::clock::Timestamp;
use crate::keyring::KeySet;
use crate::model::Algorithm;
use crate::model::secret::random_bytes;
use crate::store::{Conn, Store, StoreError, installation, revocations};

/// Where `installation` keeps the name of the log.
const LOG_NAME: &str = "revocation_log";

/// The most entries that a message has.
const PORTION: usize = 10_000;

/// A database that takes longer says nothing any more: a firewall has forgotten the connection, say. The reading is given up, and the next one
/// takes another connection. Nothing else would end it for a quarter of an hour.
const LONGEST_READ: Duration = Duration::from_secs(5);

/// A moment, and the name of the clock that told it: moments of different clocks are not to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct At {
    moment: Timestamp,
    clock: Arc<str>,
}

/// What one look at the log found.
struct Look {
    /// The moment **before** the look: then the log ended at `last` or earlier.
    at: At,
    log: Arc<str>,
    last: i64,
    /// The key that would sign now, if it was revoked.
    revoked_kid: Option<String>,
}

/// Learns where the log ends. What is read on `conn` afterwards has everything up to there.
async fn look(app: &App, conn: &mut Conn, at: At) -> Result<Look, StoreError> {
    let (last, log) = end_of_log(conn).await?;
    let kid = app.keyring.current().active_kid(Algorithm::Es256).unwrap_or_default().to_owned();
    let revoked_kid = revocations::is_key_revoked(conn, &kid).await?.then_some(kid);
    // Unnamed again only if somebody has just done as docs/operating.md says of a restored database.
    let log = match log {
        Some(log) => log,
        None => name_log(&app.store, None).await?,
    };
    Ok(Look { at, log, last, revoked_kid })
}

impl Look {
    /// The keys to sign with. Nothing is signed under a key after the entry that revokes it: another replica may have revoked it
    /// since this one last read the keys.
    async fn keys(&self, app: &App) -> anyhow::Result<Arc<KeySet>> {
        if let Some(revoked) = &self.revoked_kid {
            in_time(app.reload_keys()).await?;
            let now = app.keyring.current();
            anyhow::ensure!(
                now.active_kid(Algorithm::Es256) != Some(revoked),
                "the key {revoked} was revoked and has no successor"
            );
        }
        Ok(app.keyring.current())
    }
}

/// What is read from the database, unless it does not answer for `LONGEST_READ`.
async fn in_time<T, E: Into<anyhow::Error>>(read: impl Future<Output = Result<T, E>>) -> anyhow::Result<T> {
    timeout(LONGEST_READ, read).await?.map_err(Into::into)
}

/// The number of the log's last entry, and the name of the log, if it has one.
async fn end_of_log(conn: &mut Conn) -> Result<(i64, Option<Arc<str>>), StoreError> {
    let (last, name) = revocations::last_seq_and_fact(conn, LOG_NAME).await?;
    Ok((last, name.map(Arc::from)))
}

/// Gives the log a name, or another one in place of `old`: its numbers then mean something else than they did. If another process has
/// been quicker, the name is the one that it gave.
async fn name_log(store: &Store, old: Option<&str>) -> Result<Arc<str>, StoreError> {
    let fresh = random_name();
    let mut tx = store.begin().await?;
    if let Some(old) = old {
        installation::take(&mut tx, LOG_NAME, old).await?;
    }
    let name = installation::put_if_absent(&mut tx, LOG_NAME, &fresh).await?;
    tx.commit().await?;
    Ok(name.into())
}

/// A name that nobody else has.
fn random_name() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<12>())
}
