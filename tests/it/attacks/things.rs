//! Who learns what, who may fill or stop the provider, and what lies open on the disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tessera::config::Config;
use tessera::model::ClientMetadata;

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{Provider, new_email};

fn web(_: &mut ClientMetadata) {}

/// Introspection must not tell a client what the person was not asked for.
#[tokio::test]
async fn introspection_tells_no_address_without_the_scope_email() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    for (scope, told) in [("openid", false), ("openid email", true)] {
        let tokens = provider.tokens(&client, &mut browser, scope).await;
        let answer = provider.post(&client, "/introspect", &[("token", &tokens.access_token)]).await;
        assert_eq!(answer.json()["active"], true);
        assert_eq!(answer.body.contains(&user.email), told, "{scope}");
    }
}

/// The database has password hashes, e-mail addresses and sealed keys: other users of the machine have no business in it.
#[tokio::test]
async fn the_database_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.database.url = format!("sqlite:{}", folder.path().join("data/tessera.db").display());
    let store = tessera::app::open_store(&config).await.unwrap();
    store.migrate().await.unwrap();
    let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for file in ["data/tessera.db", "data/tessera.db-wal", "data/tessera.db-shm"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    // A second start finds it and changes nothing.
    store.close().await;
    tessera::app::open_store(&config).await.unwrap().ping().await.unwrap();
    assert_eq!(mode("data/tessera.db"), 0o600);
}
