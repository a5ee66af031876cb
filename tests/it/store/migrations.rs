//! Migrations: from nothing, at once, again, and never backwards; the same tables on both engines.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use sqlx::Executor;
use tempfile::TempDir;
use tessera::app::App;
use tessera::clock::Clock;
use tessera::config::Config;
use tessera::store::Store;

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::MASTER_KEY;

/// The database without a single table.
async fn emptied(db: &TestDatabase) {
    match &db.store {
        Store::Sqlite { .. } => panic!("a new file is emptier"),
        Store::Postgres(pool) => {
            pool.execute("DROP SCHEMA public CASCADE").await.unwrap();
            pool.execute("CREATE SCHEMA public").await.unwrap();
        }
    }
}

async fn run(store: &Store, sql: &'static str) {
    match store {
        Store::Sqlite { writer, .. } => writer.execute(sql).await.map(drop),
        Store::Postgres(pool) => pool.execute(sql).await.map(drop),
    }
    .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// How many migrations the database has, after as many starts at once as there are stores.
async fn migrate_at_once(stores: &[Store]) {
    for result in join_all(stores.iter().map(Store::migrate)).await {
        result.unwrap();
    }
    for store in stores {
        let status = store.migration_status().await.unwrap();
        assert!(!status.is_empty() && status.iter().all(|migration| migration.applied), "{status:?}");
    }
}

fn file_names(engine: &str) -> Vec<String> {
    let folder = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What a column holds, in words that are the same for both engines.
type Tables = BTreeMap<String, BTreeMap<String, (String, bool)>>;

/// Each table with its columns' types and whether they may be NULL.
async fn tables(store: &Store) -> Tables {
    let rows: Vec<(String, String, String, bool)> = match store {
        Store::Sqlite { readers, .. } => sqlx::query_as(
            "SELECT t.name, c.name, lower(c.type), c.\"notnull\" = 0 AND c.pk = 0 FROM sqlite_master t, pragma_table_info(t.name) c
            WHERE t.type = 'table'",
        )
        .fetch_all(readers)
        .await
        .unwrap(),
        Store::Postgres(pool) => sqlx::query_as(
            "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' FROM information_schema.columns
            WHERE table_schema = 'public'",
        )
        .fetch_all(pool)
        .await
        .unwrap(),
    };
    let mut tables = Tables::new();
    for (table, column, kind, may_be_null) in rows {
        if table != "_sqlx_migrations" {
            let kind = if kind == "bytea" { "blob".to_owned() } else { kind };
            tables.entry(table).or_default().insert(column, (kind, may_be_null));
        }
    }
    tables
}

on_both_engines! {
    async fn migrating_again_changes_nothing(db: TestDatabase) {
        let before = tables(&db.store).await;
        assert!(before.len() > 10);
        let status = db.store.migration_status().await.unwrap();
        assert_eq!(status.len(), file_names("sqlite").len());
        assert!(status.iter().all(|migration| migration.applied));
        db.store.migrate().await.unwrap();
        assert_eq!(db.store.migration_status().await.unwrap(), status);
        assert_eq!(tables(&db.store).await, before);
    }

    /// An older program on a newer database would not know what it must not touch.
    async fn a_newer_database_is_refused_in_words(db: TestDatabase) {
        run(
            &db.store,
            "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
            VALUES (9999, 'from the future', CURRENT_TIMESTAMP, TRUE, '', 0)",
        )
        .await;
        let mut config = Config { issuer: "https://id.example".to_owned(), ..Config::default() };
        config.database.url = db.url.clone();
        config.keys.master_key = Some(MASTER_KEY.to_owned());
        let refusals = [
            db.store.migrate().await.unwrap_err().to_string(),
            db.store.migration_status().await.unwrap_err().to_string(),
            format!("{:#}", App::open(config, Clock::system()).await.err().unwrap()),
        ];
        for refusal in refusals {
            assert!(refusal.contains("newer than this program") && refusal.contains("9999"), "{refusal}");
        }
    }

    async fn a_database_of_another_build_is_refused_in_words(db: TestDatabase) {
        run(&db.store, "UPDATE _sqlx_migrations SET checksum = '' WHERE version = 1").await;
        let refusal = db.store.migrate().await.unwrap_err().to_string();
        assert!(refusal.contains("migration 1") && refusal.contains("another build"), "{refusal}");
    }

    async fn an_unfinished_migration_is_refused_in_words(db: TestDatabase) {
        run(&db.store, "UPDATE _sqlx_migrations SET success = FALSE WHERE version = 1").await;
        let refusal = db.store.migrate().await.unwrap_err().to_string();
        assert!(refusal.contains("not finished"), "{refusal}");
    }
}

#[tokio::test]
async fn a_new_sqlite_file_takes_every_migration() {
    let folder = TempDir::new().unwrap();
    let store = TestDatabase::open(&format!("sqlite:{}", folder.path().join("new.db").display())).await;
    assert!(store.migration_status().await.unwrap().iter().all(|migration| !migration.applied));
    migrate_at_once(&[store]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_processes_migrate_a_new_sqlite_file_at_once() {
    for _ in 0..20 {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite:{}", folder.path().join("new.db").display());
        // One opens after the other: a new file becomes a WAL database only while nobody else has it open.
        let mut stores = Vec::new();
        for _ in 0..4 {
            stores.push(TestDatabase::open(&url).await);
        }
        migrate_at_once(&stores).await;
    }
}

mod postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn four_replicas_migrate_an_empty_database_at_once() {
        let Some(db) = TestDatabase::postgres().await else { return };
        for _ in 0..5 {
            emptied(&db).await;
            let stores = join_all((0..4).map(|_| TestDatabase::open(&db.url))).await;
            assert!(stores[0].migration_status().await.unwrap().iter().all(|migration| !migration.applied));
            migrate_at_once(&stores).await;
        }
    }

    /// A replica that starts before `tessera db migrate` has run says so.
    #[tokio::test]
    async fn a_start_on_an_empty_database_is_refused_in_words() {
        let Some(db) = TestDatabase::postgres().await else { return };
        emptied(&db).await;
        let mut config = Config::default();
        config.database.url = db.url.clone();
        config.keys.master_key = Some(MASTER_KEY.to_owned());
        let refusal = format!("{:#}", App::open(config, Clock::system()).await.err().unwrap());
        assert!(refusal.contains("tessera db migrate"), "{refusal}");
    }

    #[tokio::test]
    async fn both_engines_have_the_same_tables() {
        let Some(postgres) = TestDatabase::postgres().await else { return };
        let sqlite = TestDatabase::sqlite().await;
        assert_eq!(tables(&postgres.store).await, tables(&sqlite.store).await);
    }
}

#[test]
fn both_engines_have_the_same_migration_files() {
    assert_eq!(file_names("sqlite"), file_names("postgres"));
}
