//! Reading the signing keys for whoever asks.

use futures_util::future::join_all;

use super::*;

/// However many tokens of invented keys come: the keys are read once a second, and nobody waits for more than that.
#[tokio::test]
async fn one_reading_is_shared_by_all_who_ask() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.database.url = format!("sqlite:{}", folder.path().join("test.db").display());
    config.keys.master_key_path = folder.path().join("master.key");
    let app = App::open(config, Clock::system()).await.unwrap();
    let apart = Duration::from_secs(1);
    let last = async || app.asking.lock().await.as_ref().map(|asked| (asked.at, asked.outcome)).unwrap();
    let all =
        async || timeout(Duration::from_secs(60), join_all((0..200).map(|_| app.reload_keys_together(apart)))).await.unwrap();

    app.reload_keys_together(apart).await.unwrap();
    let (first, _) = last().await;
    // One by one they would take 200 s.
    assert!(all().await.iter().all(Result::is_ok));
    let (second, outcome) = last().await;
    assert!(first + apart <= second && outcome == Some(true));
    // A failure is shared, too.
    app.store.close().await;
    assert!(all().await.iter().all(Result::is_err));
    assert!(app.reload_keys_together(Duration::ZERO).await.is_err());
}
