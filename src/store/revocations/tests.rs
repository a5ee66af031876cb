//! The log on SQLite, and on PostgreSQL when `TESSERA_TEST_POSTGRES` (the URL of a database from which another can be made) is set.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::*;
use crate::model::RevocationKind;
use crate::store::Store;
use crate::testing::test_server;

pub(crate) struct TestStore {
    pub store: Store,
    _folder: Option<tempfile::TempDir>,
}

/// A new, migrated database on each engine that there is.
pub(crate) async fn test_stores() -> Vec<TestStore> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    let sqlite = Store::open(&url, true, 1).await.unwrap();
    let mut stores = vec![TestStore { store: sqlite, _folder: Some(folder) }];
    if let Some(admin) = test_server("TESSERA_TEST_POSTGRES") {
        let name = format!("tessera_{}", uuid::Uuid::new_v4().simple());
        let mut connection = PgConnection::connect(&admin).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let mut url = url::Url::parse(&admin).unwrap();
        url.set_path(&name);
        let store = Store::open(url.as_str(), true, 10).await.unwrap();
        stores.push(TestStore { store, _folder: None });
    }
    for test in &stores {
        test.store.migrate().await.unwrap();
    }
    stores
}

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn entry(kind: RevocationKind, id: &str, not_before: Option<i64>, expires_in: i64) -> Revocation {
    Revocation {
        seq: 0,
        kind,
        id: id.to_owned(),
        not_before,
        expires_at: Timestamp::from_seconds(NOW.seconds() + expires_in),
        audience: None,
    }
}

fn token(id: &str) -> Revocation {
    entry(RevocationKind::Token, id, None, 600)
}

async fn append_and_commit(store: &Store, entries: Vec<Revocation>) -> Vec<Revocation> {
    let mut tx = store.begin().await.unwrap();
    let entries = append(&mut tx, entries, Timestamp(0)).await.unwrap().entries;
    tx.commit().await.unwrap();
    entries
}

/// The log is followed four times a second: that must not cost more the longer it is.
#[tokio::test]
async fn sqlite_reads_on_by_number_and_sorts_nothing() {
    let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
    for migration in [
        include_str!("../../../migrations/sqlite/0001_start.sql"),
        include_str!("../../../migrations/sqlite/0002_revocation_audience.sql"),
    ] {
        connection.execute(migration).await.unwrap();
    }
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {SINCE}"));
    let plan: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(explain).bind(0).bind(0).bind(10).fetch_all(&mut connection).await.unwrap();
    let steps: Vec<&str> = plan.iter().map(|step| step.3.as_str()).collect();
    assert!(matches!(steps[..], [only] if only.contains("(seq>?)")), "{steps:?}");
}

/// A database that was restored from a backup must not give numbers again that readers have seen.
#[tokio::test]
async fn numbers_follow_the_clock_and_never_go_back() {
    for test in test_stores().await {
        let at = async |now: Timestamp| {
            let mut tx = test.store.begin().await.unwrap();
            let appended = append(&mut tx, vec![token("a"), token("b")], now).await.unwrap();
            tx.commit().await.unwrap();
            (appended.after, appended.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())
        };
        assert_eq!(at(Timestamp(1_000)).await, (0, vec![999, 1_000]));
        assert_eq!(at(Timestamp(1_000)).await, (1_000, vec![1_001, 1_002]));
        assert_eq!(at(Timestamp(5)).await, (1_002, vec![1_003, 1_004]));
        assert_eq!(at(Timestamp(9_000)).await, (1_004, vec![8_999, 9_000]));
    }
}

#[tokio::test]
async fn numbers_are_contiguous_and_a_rolled_back_one_is_given_again() {
    for test in test_stores().await {
        let store = &test.store;
        let first = append_and_commit(store, vec![token("a"), token("b")]).await;
        assert_eq!(first.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
        let mut dropped = store.begin().await.unwrap();
        append(&mut dropped, vec![token("lost")], Timestamp(0)).await.unwrap();
        drop(dropped);
        assert_eq!(append_and_commit(store, vec![]).await, []);
        let second = append_and_commit(store, vec![token("c")]).await;
        assert_eq!(second.first().unwrap().seq, 3);
        let mut conn = store.read().await.unwrap();
        assert_eq!(last_seq(&mut conn).await.unwrap(), 3);
        let all = since(&mut conn, 0, NOW, 10).await.unwrap();
        assert_eq!(all, [first, second].concat());
        assert_eq!(since(&mut conn, 1, NOW, 1).await.unwrap(), all[1..2]);
    }
}

#[tokio::test]
async fn only_what_is_in_force_is_read_and_only_what_is_not_is_purged() {
    for test in test_stores().await {
        let store = &test.store;
        append_and_commit(store, vec![token("b"), entry(RevocationKind::Token, "a", None, 0)]).await;
        let mut conn = store.read().await.unwrap();
        let ids = |entries: Vec<Revocation>| entries.into_iter().map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!(ids(since(&mut conn, 0, NOW, 10).await.unwrap()), ["b"], "an entry is in force until its expiry, not at it");
        assert_eq!(find_for(&mut conn, "a", None, None, "-", "-", NOW).await.unwrap(), []);
        let earlier = NOW.minus(std::time::Duration::from_micros(1));
        assert_eq!(ids(since(&mut conn, 0, earlier, 10).await.unwrap()), ["b", "a"]);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(purge(&mut tx, earlier).await.unwrap(), 0);
        assert_eq!(purge(&mut tx, NOW).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(ids(since(&mut conn, 0, earlier, 10).await.unwrap()), ["b"]);
        assert_eq!(last_seq(&mut conn).await.unwrap(), 2, "the counter does not go back");
    }
}

#[tokio::test]
async fn one_look_up_finds_every_kind_and_no_id_of_another_kind() {
    use RevocationKind::{Client, Key, Session, Token, User};
    for test in test_stores().await {
        let store = &test.store;
        let kinds = [(Token, "j"), (Session, "s"), (User, "u"), (Client, "c"), (Key, "k")];
        append_and_commit(store, kinds.iter().map(|(kind, id)| entry(*kind, id, Some(7), 600)).collect()).await;
        let mut conn = store.read().await.unwrap();
        let found = find_for(&mut conn, "j", Some("s"), Some("u"), "c", "k", NOW).await.unwrap();
        assert_eq!(found.iter().map(|entry| (entry.kind, entry.id.as_str())).collect::<Vec<_>>(), kinds);
        assert_eq!(found.first().unwrap().not_before, Some(7));
        assert_eq!(find_for(&mut conn, "s", Some("u"), Some("c"), "k", "j", NOW).await.unwrap(), []);
        assert_eq!(find_for(&mut conn, "-", None, None, "c", "-", NOW).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_kind_from_a_newer_version_stops_nothing() {
    for test in test_stores().await {
        append_and_commit(&test.store, vec![token("a"), token("b")]).await;
        let mut tx = test.store.begin().await.unwrap();
        execute!(tx, "UPDATE revocations SET kind = 'audience' WHERE id = 'a'").unwrap();
        tx.commit().await.unwrap();
        let mut conn = test.store.read().await.unwrap();
        let known = since(&mut conn, 0, NOW, 10).await.unwrap();
        assert_eq!(known.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(find_for(&mut conn, "a", None, None, "-", "-", NOW).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_beside_eight_writers_misses_nothing() {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    for test in test_stores().await {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let store = test.store.clone();
            writers.spawn(async move {
                for round in 0..EACH {
                    let mut tx = store.begin().await.unwrap();
                    append(&mut tx, vec![token(&format!("{writer}-{round}"))], Timestamp(0)).await.unwrap();
                    // Between taking a number and committing it others get their chance: this is where a sequence would go wrong.
                    tokio::task::yield_now().await;
                    tx.commit().await.unwrap();
                }
            });
        }
        let mut conn = test.store.read().await.unwrap();
        let mut seen = 0;
        while seen < i64::try_from(WRITERS * EACH).unwrap() {
            if writers.is_empty() {
                // All are committed: this read must give the rest.
                assert!(last_seq(&mut conn).await.unwrap() > seen);
            }
            for entry in since(&mut conn, seen, NOW, 7).await.unwrap() {
                assert_eq!(entry.seq, seen + 1, "an entry was committed after one with a greater number had been read");
                seen = entry.seq;
            }
            while let Some(done) = writers.try_join_next() {
                done.unwrap();
            }
        }
    }
}
