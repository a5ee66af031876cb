//! Frames in orders that a test through the router cannot bring about, and what a stream makes of them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Map, Value};

use super::channel::{Channel, Event, Frame};
use super::message::sse;
use super::request::Request;
use super::stream::Stream;
use super::{At, catch_up};
use crate::app::App;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::revocation;
use crate::store::{Store, revocations};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct Test {
    app: Arc<App>,
    channel: Arc<Channel>,
    /// Where the log ended when the stream began. Numbers in the tests are relative to this.
    begin: i64,
    clock: Arc<str>,
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
        let clock = app.feed.clock_name.now(&app.clock).clock;
        let mut test = Self { app, channel, begin: 0, clock, chunks: body.into_data_stream(), _folder: folder };
        assert_eq!(test.chunk().await.unwrap(), "retry: 250\n\n");
        test.chunk().await.unwrap();
        let jws = test.chunk().await.unwrap();
        test.begin = test.claims(&jws)["seq"].as_i64().unwrap();
        assert_eq!(test.chunk().await.unwrap(), "\n\n");
        test
    }

    /// Publishes `data` as what the log has from one number to another. `at` is in milliseconds after the stream's beginning.
    async fn publish(&self, from: i64, seq: i64, at: Option<u64>, data: &str) {
        self.publish_by(&self.clock, from, seq, at, data).await;
    }

    async fn publish_by(&self, clock: &Arc<str>, from: i64, seq: i64, at: Option<u64>, data: &str) {
        self.publish_event(self.event(clock, from, seq, at, data)).await;
    }

    async fn publish_event(&self, event: Event) {
        self.channel.publish(Frame::Message(event), &mut 0).await;
    }

    fn event(&self, clock: &Arc<str>, from: i64, seq: i64, at: Option<u64>, data: &str) -> Event {
        Event {
            from: self.begin + from,
            seq: self.begin + seq,
            at: at.map(|at| At { moment: NOW + Duration::from_millis(at), clock: Arc::clone(clock) }),
            news: seq > from,
            clients: Arc::new([]),
            sse: sse("log", seq, data.as_bytes()),
        }
    }

    fn claims(&self, jws: &[u8]) -> Map<String, Value> {
        let jws = std::str::from_utf8(jws).unwrap();
        self.app.keyring.current().verify(jws, "revocations+jwt").unwrap().claims
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

/// Revokes some sessions, and gives the number of the last entry.
async fn append(app: &App, count: usize) -> i64 {
    let entries = vec![revocation::session("s", NOW); count];
    app.revocations.commit(app.store.begin().await.unwrap(), entries).await.unwrap();
    revocations::last_seq(&mut app.store.read().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn what_says_nothing_new_is_skipped_and_what_overlaps_is_not() {
    let mut test = Test::new().await;
    for (from, seq, at, passed_on) in [
        (-3, -1, Some(0), false),
        (-3, 0, None, false),
        (0, 0, Some(0), false),
        // A later moment, but a look that ended earlier: less than the receiver has would be a gap to it.
        (-1, -1, Some(1), false),
        (-1, 1, Some(2), true),
        (1, 1, Some(2), false),
        // A part of more that follows at once.
        (1, 2, None, true),
        (2, 3, Some(3), true),
        (3, 3, Some(4), true),
    ] {
        let data = format!("{from}-{seq}-{at:?}");
        test.publish(from, seq, at, &data).await;
        assert_eq!(test.sent().await, passed_on.then_some(data));
    }
}

/// Published while nobody listened, between the look of this stream and its first frame: it is read from the database.
#[tokio::test]
async fn a_gap_is_filled_from_the_database() {
    let mut test = Test::new().await;
    let end = append(&test.app, 2).await;
    let new = end - test.begin;
    test.publish(new, new, Some(250), "beyond").await;
    let id = test.chunk().await.unwrap();
    assert!(id.ends_with(format!(":{end}\nevent: revocations\ndata: ").as_bytes()), "{id:?}");
    let jws = test.chunk().await.unwrap();
    let claims = test.claims(&jws);
    assert_eq!((&claims["from"], &claims["seq"]), (&test.begin.into(), &end.into()));
    assert_eq!(claims["entries"].as_array().unwrap().len(), 2);
    assert_eq!(test.chunk().await.unwrap(), "\n\n");
    test.publish(new, new, Some(500), "goes on").await;
    assert_eq!(test.sent().await.as_deref(), Some("goes on"));
}

/// The receiver measures by the first clock of its connection: by another one it could not go on.
#[tokio::test]
async fn a_stream_ends_when_the_clock_was_set() {
    let mut test = Test::new().await;
    test.publish(0, 1, Some(1), "before").await;
    test.publish_by(&"another".into(), 1, 2, Some(2), "after").await;
    assert_eq!(test.sent().await.as_deref(), Some("before"));
    assert!(test.chunk().await.is_none());
}

#[tokio::test]
async fn the_end_comes_after_what_was_published_before_it() {
    let mut test = Test::new().await;
    test.publish(0, 1, Some(1), "last").await;
    test.app.feed.end_all();
    test.publish(1, 2, Some(2), "never sent").await;
    assert_eq!(test.sent().await.as_deref(), Some("last"));
    assert!(test.chunk().await.is_none());
}

/// More receivers than are woken at once: each gets everything, and one who is late in the row no less.
#[tokio::test]
async fn every_crowd_is_told() {
    let test = Test::new().await;
    let audiences: Arc<[String]> = ["https://crowded.example".to_owned()].into();
    let mut receivers = Vec::new();
    for _ in 0..700 {
        receivers.push(test.app.feed.subscribe(&audiences).unwrap());
    }
    let channel = Arc::clone(&receivers[0].0);
    assert!(receivers.iter().all(|(of_each, _)| Arc::ptr_eq(of_each, &channel)));
    let mut woken = 0;
    channel.publish(Frame::End, &mut woken).await;
    assert_eq!(woken, 700 - 2 * 256, "after each crowd the others had a moment");
    for (_, receiver) in &mut receivers {
        assert!(matches!(**receiver.try_recv().as_ref().unwrap(), Frame::End));
    }
    drop(receivers);
    assert!(!test.app.feed.channels(NOW).iter().any(|kept| Arc::ptr_eq(kept, &channel)), "nobody is left");
}

/// Who is behind is not sent what is outdated; entries are never left out.
#[tokio::test]
async fn of_several_heartbeats_the_newest_is_sent() {
    let mut test = Test::new().await;
    for (from, seq, at, data) in [(0, 0, 1, "a"), (0, 0, 2, "b"), (0, 1, 3, "entries"), (1, 1, 4, "c"), (1, 1, 5, "d")] {
        test.publish(from, seq, Some(at), data).await;
    }
    assert_eq!(test.sent().await.as_deref(), Some("entries"));
    assert_eq!(test.sent().await.as_deref(), Some("d"));
    assert_eq!(test.sent().await, None);
}

/// The entry by which a client was disabled was read by catching up, and its frame waits with a heartbeat behind it: the stream ends all the same.
#[tokio::test]
async fn a_frame_that_names_clients_is_never_skipped() {
    let mut test = Test::new().await;
    let disabled = Event { clients: ["api".to_owned()].into(), ..test.event(&test.clock, -1, 0, Some(1), "disabled") };
    test.publish_event(disabled).await;
    test.publish(0, 0, Some(2), "heartbeat").await;
    assert!(test.chunk().await.is_none());
}

/// A resource server that asks as often as it can: of its requests some have their turn, and the others do not keep those of another waiting.
#[tokio::test]
async fn those_of_one_channel_leave_room_for_others() {
    let test = Test::new().await;
    let poll = async |audience: &str| {
        let audiences: Arc<[String]> = [audience.to_owned()].into();
        let (channel, _frames) = test.app.feed.subscribe(&audiences).unwrap();
        catch_up::next(&test.app, &channel, None, None).await.map(|piece| piece.seq)
    };
    // All of what one channel may use is in use, by requests that do not get on.
    let _turns = test.channel.catching_up.acquire_many(2).await.unwrap();
    let _reading = test.app.feed.reading.acquire_many(2).await.unwrap();
    let mut flood: Vec<_> = (0..100).map(|_| Box::pin(poll("https://api.example"))).collect();
    assert!(flood.iter_mut().all(|poll| poll.now_or_never().is_none()));
    assert_eq!(poll("https://other.example").await.unwrap(), test.begin);
}

/// A database that says nothing: who catches up is told to come again, and the turn is the next one's.
#[tokio::test]
async fn catching_up_gives_up_on_a_database_that_does_not_answer() {
    let test = Test::new().await;
    // All that SQLite's pool has.
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(test.app.store.read().await.unwrap());
    }
    // Without a limit the pool itself would give up after half a minute.
    let catching_up = catch_up::next(&test.app, &test.channel, None, None);
    let refused = tokio::time::timeout(Duration::from_secs(20), catching_up).await.expect("it gives up");
    assert!(refused.is_err());
    drop(taken);
    assert_eq!(catch_up::next(&test.app, &test.channel, None, None).await.unwrap().seq, test.begin);
}
