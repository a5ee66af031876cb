//! Frames in orders that a test through the router cannot bring about, and what a stream makes of them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{FutureExt, StreamExt};

use super::channel::{Channel, Event, Frame};
use super::message::sse;
use super::request::Request;
use super::stream::Stream;
use crate::app::App;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::model::{Revocation, RevocationKind};
use crate::store::{Store, revocations};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct Test {
    app: Arc<App>,
    channel: Arc<Channel>,
    chunks: axum::body::BodyDataStream,
    _folder: tempfile::TempDir,
}

impl Test {
    /// A stream that has got what it lacked of a log with three entries.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("test.db").display()), true, 1).await.unwrap();
        store.migrate().await.unwrap();
        let mut config = Config::default();
        config.keys.master_key = Some("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".to_owned());
        let app = App::with_store(config, Clock::manual(NOW), store).await.unwrap();
        append(&app, 3).await;
        let audiences: Arc<[String]> = ["https://api.example".to_owned()].into();
        let request = Request {
            client_id: "api".to_owned(),
            audiences: Arc::clone(&audiences),
            after: None,
            nonce: None,
            wait: Duration::ZERO,
        };
        let body: Body = Stream::begin(&app, request).await.unwrap().into_body();
        let (channel, _) = app.feed.subscribe(&audiences).unwrap();
        let mut test = Self { app, channel, chunks: body.into_data_stream(), _folder: folder };
        assert_eq!(test.chunk().await.unwrap(), "retry: 250\n\n");
        assert!(test.chunk().await.unwrap().ends_with(b":3\nevent: revocations\ndata: "));
        test.chunk().await.unwrap();
        assert_eq!(test.chunk().await.unwrap(), "\n\n");
        test
    }

    /// Publishes `data` as what the log has from one number to another. `at` is in milliseconds after the stream's beginning.
    fn publish(&self, from: i64, seq: i64, at: Option<u64>, data: &str) {
        self.channel.publish(Frame::Message(Event {
            from,
            seq,
            at: at.map(|at| NOW + Duration::from_millis(at)),
            news: seq > from,
            clients: Arc::new([]),
            sse: sse("log", seq, data.as_bytes()),
        }));
    }

    async fn chunk(&mut self) -> Option<Bytes> {
        Some(self.chunks.next().await?.unwrap())
    }

    /// What is sent next of what was published, or that nothing is.
    async fn sent(&mut self) -> Option<String> {
        let chunk = self.chunks.next().now_or_never()??.unwrap();
        let text = String::from_utf8(chunk.to_vec()).unwrap();
        Some(text.lines().nth(2).unwrap().strip_prefix("data: ").unwrap().to_owned())
    }
}

async fn append(app: &App, count: usize) {
    let entry = Revocation {
        seq: 0,
        kind: RevocationKind::Session,
        id: "s".to_owned(),
        not_before: None,
        expires_at: NOW + Duration::from_secs(60),
        audience: None,
    };
    let mut tx = app.store.begin().await.unwrap();
    revocations::append(&mut tx, vec![entry; count]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_says_nothing_new_is_skipped_and_what_overlaps_is_not() {
    let mut test = Test::new().await;
    for (from, seq, at, passed_on) in [
        (0, 2, Some(0), false),
        (0, 3, None, false),
        (3, 3, Some(0), false),
        // Older entries, but a later moment: a look that began later and ended earlier.
        (2, 2, Some(1), true),
        (2, 4, Some(2), true),
        (4, 4, Some(2), false),
        // A part of more that follows at once.
        (4, 5, None, true),
        (5, 6, Some(3), true),
        (6, 6, Some(4), true),
    ] {
        let data = format!("{from}-{seq}-{at:?}");
        test.publish(from, seq, at, &data);
        assert_eq!(test.sent().await, passed_on.then_some(data));
    }
}

/// Published while nobody listened, between the look of this stream and its first frame: it is read from the database.
#[tokio::test]
async fn a_gap_is_filled_from_the_database() {
    let mut test = Test::new().await;
    append(&test.app, 2).await;
    test.publish(5, 5, Some(250), "beyond");
    let begin = test.chunk().await.unwrap();
    assert!(begin.ends_with(b":5\nevent: revocations\ndata: "), "{begin:?}");
    let jws = test.chunk().await.unwrap();
    let claims = test.app.keyring.current().verify(std::str::from_utf8(&jws).unwrap(), "revocations+jwt").unwrap().claims;
    assert_eq!((&claims["from"], &claims["seq"]), (&3.into(), &5.into()));
    assert_eq!(claims["entries"].as_array().unwrap().len(), 2);
    assert_eq!(test.chunk().await.unwrap(), "\n\n");
    test.publish(5, 5, Some(500), "goes on");
    assert_eq!(test.sent().await.as_deref(), Some("goes on"));
}

#[tokio::test]
async fn the_end_comes_after_what_was_published_before_it() {
    let mut test = Test::new().await;
    test.publish(3, 4, Some(1), "last");
    test.channel.publish(Frame::End);
    test.publish(4, 5, Some(2), "never sent");
    assert_eq!(test.sent().await.as_deref(), Some("last"));
    assert!(test.chunk().await.is_none());
}
