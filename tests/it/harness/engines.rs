//! One test body, run on SQLite and on PostgreSQL.

use tempfile::TempDir;
use tessera::store::Store;

use super::postgres::PostgresDatabase;

/// An empty, migrated database and an open store on it. Both go when this is dropped.
pub struct TestDatabase {
    pub store: Store,
    /// What `database.url` is set to, for a second replica or a real `tessera` process on the same database.
    pub url: String,
    _home: Home,
}

/// What keeps the database there.
#[allow(dead_code, reason = "held for its destructor")]
enum Home {
    Sqlite(TempDir),
    Postgres(PostgresDatabase),
}

impl TestDatabase {
    /// A file in a temporary folder.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let store = Self::open(&url).await;
        store.migrate().await.expect("SQLite takes the migrations");
        Self { store, url, _home: Home::Sqlite(folder) }
    }

    /// A database of its own; none when PostgreSQL is not configured.
    pub async fn postgres() -> Option<Self> {
        let database = PostgresDatabase::create().await?;
        let url = database.url();
        Some(Self { store: Self::open(&url).await, url, _home: Home::Postgres(database) })
    }

    /// Another store on a database, as another replica has it.
    pub async fn open(url: &str) -> Store {
        Store::open(url, true, 8).await.unwrap()
    }
}

/// Makes two tests, `<name>::sqlite` and `<name>::postgres`, of each body:
///
/// ```ignore
/// on_both_engines! {
///     async fn a_code_works_once(db: TestDatabase) {
///         let mut tx = db.store.begin().await.unwrap();
///     }
/// }
/// ```
macro_rules! on_both_engines {
    ($($(#[$attribute:meta])* async fn $name:ident($db:ident: TestDatabase) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "a body may need nothing of its file")]
            use super::*;

            $(#[$attribute])*
            async fn body($db: $crate::harness::engines::TestDatabase) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                body($crate::harness::engines::TestDatabase::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(db) = $crate::harness::engines::TestDatabase::postgres().await {
                    body(db).await;
                }
            }
        }
    )+};
}

pub(crate) use on_both_engines;
