//! Telling other replicas at once that the log has grown: a word on a Redis channel, with nothing in it.
//!
//! A word and not the entry: the truth is SQL, which whoever hears it reads. So a word that is lost (Redis was away, the listener was
//! just connecting) costs a replica no more than the wait for its next look at the log, a quarter of a second; a word that comes twice, late or
//! from somebody else costs one query; and there is nothing to trim, to number or to catch up on, as there would be in a Redis stream.

use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::ConnectionManager;
use redis::{Client, RedisError};
use tokio::time::timeout;

use super::Revocations;
use super::in_redis::{client, in_time};

/// How long after a failure the listener connects again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// After so much silence the listener asks whether the connection still is one: it sends nothing else, so nothing else would tell.
const ASK_AFTER: Duration = Duration::from_secs(5);

/// Where this installation's replicas call each other.
fn channel(prefix: &str) -> String {
    format!("{prefix}revoked")
}

/// Says the word.
pub(super) struct Caller {
    connection: ConnectionManager,
    channel: String,
}

impl Caller {
    pub fn new(connection: ConnectionManager, prefix: &str) -> Self {
        Self { connection, channel: channel(prefix) }
    }

    /// Failing is no failure: the others look at the log by themselves.
    pub async fn call(&self) {
        let mut connection = self.connection.clone();
        let said: Result<i64, _> = in_time(redis::cmd("PUBLISH").arg(&self.channel).arg("").query_async(&mut connection)).await;
        if let Err(error) = said {
            tracing::debug!(%error, "the other replicas were not told of a revocation");
        }
    }
}

/// Listens for the word, and passes it on to whoever waits in `Revocations::grown`. Never ends; connects again when it must.
///
/// # Errors
/// If the URL is not understood.
pub async fn listen(url: &str, prefix: &str, revocations: &Revocations) -> Result<(), RedisError> {
    let (client, channel) = (client(url)?, channel(prefix));
    loop {
        if let Err(error) = hear(&client, &channel, revocations).await {
            tracing::debug!(%error, "the word of other replicas cannot be heard; the log is looked at all the same");
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn hear(client: &Client, channel: &str, revocations: &Revocations) -> Result<(), RedisError> {
    let (mut sink, mut words) = client.get_async_pubsub().await?.split();
    sink.subscribe(channel).await?;
    // Whatever was said before.
    revocations.nudge();
    loop {
        match timeout(ASK_AFTER, words.next()).await {
            Ok(Some(_)) => revocations.nudge(),
            Ok(None) => return Ok(()),
            Err(_) => match timeout(ASK_AFTER, sink.ping::<redis::Value>()).await {
                Ok(answer) => drop(answer?),
                Err(_) => return Ok(()),
            },
        }
    }
}
