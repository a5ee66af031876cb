//! A PostgreSQL database of its own for each test, copied from a migrated template.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tessera::model::secret;
use tessera::store::Store;
use url::Url;

use super::servers::POSTGRES;

/// Serialises those who make the template; any number does.
const TEMPLATE_LOCK: i64 = 0x7465_7373;

/// A database that is dropped with this value.
pub struct PostgresDatabase {
    admin: Url,
    name: String,
}

impl PostgresDatabase {
    /// A new, migrated database; none when PostgreSQL is not configured.
    pub async fn create() -> Option<Self> {
        let admin = Url::parse(&POSTGRES.configured()?).expect("TESSERA_TEST_POSTGRES is a URL");
        let mut connection = PgConnection::connect(admin.as_str()).await.expect("PostgreSQL answers");
        let template = template(&admin, &mut connection).await;
        let name = format!("tessera_test_{}", hex(&secret::random_bytes::<8>()));
        run(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Some(Self { admin, name })
    }

    /// What `database.url` is set to.
    pub fn url(&self) -> String {
        database_url(&self.admin, &self.name)
    }
}

impl Drop for PostgresDatabase {
    /// On a thread with a runtime of its own, since a destructor cannot await. FORCE ends connections that are still open.
    fn drop(&mut self) {
        let admin = self.admin.clone();
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = PgConnection::connect(admin.as_str()).await.unwrap();
                run(&mut connection, statement).await;
            });
        });
        if dropped.join().is_err() {
            eprintln!("the test database {} is left behind", self.name);
        }
    }
}

/// The name of a database with this source tree's migrations. Made once per server: under a lock, and under another name until it
/// is complete.
async fn template(admin: &Url, connection: &mut PgConnection) -> String {
    let name = format!("tessera_template_{}", migrations_digest());
    sqlx::query("SELECT pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut *connection).await.unwrap();
    let found: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind(&name)
        .fetch_optional(&mut *connection)
        .await
        .unwrap();
    if found.is_none() {
        let unfinished = format!("{name}_unfinished");
        run(connection, format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await;
        run(connection, format!("CREATE DATABASE {unfinished}")).await;
        let store = Store::open(&database_url(admin, &unfinished), true, 1).await.unwrap();
        store.migrate().await.expect("PostgreSQL takes the migrations");
        if let Store::Postgres(pool) = &store {
            pool.close().await;
        }
        run(connection, format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(TEMPLATE_LOCK).execute(&mut *connection).await.unwrap();
    name
}

/// DDL takes no parameters; every name in it is made here.
async fn run(connection: &mut PgConnection, statement: String) {
    if let Err(error) = connection.execute(AssertSqlSafe(statement.as_str())).await {
        panic!("{statement}: {error}");
    }
}

fn database_url(admin: &Url, name: &str) -> String {
    let mut url = admin.clone();
    url.set_path(name);
    url.to_string()
}

fn migrations_digest() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut digest = Sha256::new();
    for path in paths {
        digest.update(std::fs::read(path).unwrap());
    }
    hex(&digest.finalize()[..8])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
