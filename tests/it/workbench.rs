//! The harness itself: were it broken, other tests would prove nothing.

use std::time::Duration;

use redis::Commands;
use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::browser::Browser;
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::process::Process;
use crate::harness::redis::{PrivateRedis, SharedRedis};

on_both_engines! {
    async fn a_test_database_is_migrated(db: TestDatabase) {
        let migrations = db.store.migration_status().await.unwrap();
        assert!(!migrations.is_empty());
        assert!(migrations.iter().all(|migration| migration.applied));
    }

    async fn a_second_replica_sees_the_same_database(db: TestDatabase) {
        let replica = TestDatabase::open(&db.url).await;
        assert_eq!(replica.engine(), db.store.engine());
        assert_eq!(replica.migration_status().await.unwrap(), db.store.migration_status().await.unwrap());
    }
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let (Some(one), Some(other)) = (TestDatabase::postgres().await, TestDatabase::postgres().await) else { return };
    assert_ne!(one.url, other.url);
    let open = timeout(Duration::from_secs(30), one.store.begin()).await;
    drop(one);
    assert!(open.unwrap().unwrap().commit().await.is_err(), "the database of a dropped `TestDatabase` is gone");
    other.store.begin().await.unwrap().commit().await.unwrap();
}

#[test]
fn tests_share_redis_under_prefixes_of_their_own() {
    let (Some(one), Some(other)) = (SharedRedis::reserve(), SharedRedis::reserve()) else { return };
    assert_ne!(one.prefix, other.prefix);
    let mut connection = redis::Client::open(one.url).unwrap().get_connection().unwrap();
    let key = format!("{}key", one.prefix);
    let () = connection.set(&key, "value").unwrap();
    let value: Option<String> = connection.get_del(&key).unwrap();
    assert_eq!(value.as_deref(), Some("value"));
}

#[test]
fn a_private_redis_can_be_flushed_stopped_and_started_again() {
    let Some(mut server) = PrivateRedis::start() else { return };
    let client = redis::Client::open(server.url()).unwrap();
    let get = || -> Option<String> { client.get_connection().unwrap().get("key").unwrap() };
    let set = || client.get_connection().unwrap().set::<_, _, ()>("key", "value").unwrap();
    set();
    assert_eq!(get().as_deref(), Some("value"));
    server.flush();
    assert_eq!(get(), None);
    set();
    server.stop();
    assert!(client.get_connection().is_err());
    server.start_again();
    assert_eq!(get(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_opens_a_page() {
    let Some(browser) = Browser::open(800, 600).await else { return };
    browser.client.goto("data:text/html,<title>workbench</title><p>It works.").await.unwrap();
    assert_eq!(browser.client.title().await.unwrap(), "workbench");
    let picture = std::fs::read(browser.picture("workbench").await).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn a_process_is_listened_to_terminated_and_killed() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let start = |folder: &tempfile::TempDir| {
        let mut command = Command::new("sh");
        // `read` waits on a FIFO that nobody writes to; a signal ends it.
        command.args(["-c", "trap 'echo asked to end; exit 7' TERM; mkfifo wait; echo ready >&2; read line <>wait"]);
        command.current_dir(folder.path());
        Process::spawn(command)
    };

    let mut terminated = start(&folders[0]);
    assert_eq!(terminated.line_with("ready").await, "ready");
    terminated.terminate();
    assert_eq!(terminated.ended().await.code(), Some(7));
    terminated.line_with("asked to end").await;

    let mut killed = start(&folders[1]);
    killed.line_with("ready").await;
    killed.kill().await;
    assert_eq!(killed.ended().await.code(), None);
    assert_eq!(killed.log(), ["ready"]);
}

#[tokio::test]
async fn the_real_binary_can_be_started() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Process::start(&["--version"], folder.path(), &[]).ended().await.success());
}
