//! The two engines, a connection to either, and a transaction on either.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::{PoolConnection, PoolConnectionMetadata};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool, Transaction};

/// A connection to PostgreSQL that was not used for longer than this is tested before it is used: the server may have gone away.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Why the database did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    /// Nobody says this here: it is for those who wait no longer.
    #[error("the database has not answered in time")]
    Late,
    #[error("a secret could not be encrypted for the database")]
    Seal,
    #[error("{0}")]
    Migration(String),
    #[error("database_url {0}")]
    Url(String),
}

impl StoreError {
    /// Whether a UNIQUE constraint refused an insert.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Sql(sqlx::Error::Database(error)) if error.is_unique_violation())
    }

    /// Whether PostgreSQL ended this transaction because it and another one waited for each other (`deadlock_detected`).
    pub fn is_deadlock(&self) -> bool {
        matches!(self, Self::Sql(sqlx::Error::Database(error)) if error.code().as_deref() == Some("40P01"))
    }
}

/// The database.
#[derive(Clone, Debug)]
pub enum Store {
    /// One writer and a pool of readers: eight writers are slower than one.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

/// A connection on which statements run.
pub struct Conn(Inner);

enum Inner {
    Sqlite(PoolConnection<Sqlite>),
    SqliteTx(Transaction<'static, Sqlite>),
    Postgres(PoolConnection<Postgres>),
    PostgresTx(Transaction<'static, Postgres>),
}

/// A transaction: rolled back unless `commit` is called.
pub struct Tx(Conn);

/// The native connection below a `Conn`, for `on_engine!`.
pub(super) enum Native<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Store {
    /// Opens `url`: `sqlite:<path>` or `postgres://…`. Does not migrate.
    ///
    /// # Errors
    /// If the URL is not understood or the database does not answer.
    pub async fn open(url: &str, durable: bool, max_connections: u32) -> Result<Self, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Self::open_sqlite(Path::new(path.trim_start_matches("//")), durable).await;
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url)?.application_name("tessera");
            // Once without the pool, which would only say that it timed out.
            PgConnection::connect_with(&options).await?.close().await?;
            let pool = PgPoolOptions::new()
                .max_connections(max_connections)
                // A connection is tested each time that it comes back: one that has just come back need not be tested again.
                .test_before_acquire(false)
                .before_acquire(|connection, about: PoolConnectionMetadata| {
                    Box::pin(async move {
                        if about.idle_for > TRUSTED_FOR {
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                })
                .acquire_timeout(Duration::from_secs(5))
                .connect_with(options)
                .await?;
            return Ok(Self::Postgres(pool));
        }
        Err(StoreError::Url("must begin with sqlite: or postgres://".to_owned()))
    }

    async fn open_sqlite(path: &Path, durable: bool) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(if durable { SqliteSynchronous::Full } else { SqliteSynchronous::Normal })
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        // A connection to SQLite is a thread of this process: it cannot go away, and asking it costs as much as a query.
        let pool = || SqlitePoolOptions::new().test_before_acquire(false).idle_timeout(None).max_lifetime(None);
        // The writer first: it makes the file and its WAL, which a read-only connection cannot.
        let writer = pool().max_connections(1).min_connections(1).connect_lazy_with(options.clone());
        open_file(&writer).await?;
        let readers = pool().max_connections(4).connect_lazy_with(options.create_if_missing(false).pragma("query_only", "ON"));
        Ok(Self::Sqlite { writer, readers })
    }

    /// A connection for reading.
    pub async fn read(&self) -> Result<Conn, StoreError> {
        Ok(Conn(match self {
            Self::Sqlite { readers, .. } => Inner::Sqlite(readers.acquire().await?),
            Self::Postgres(pool) => Inner::Postgres(pool.acquire().await?),
        }))
    }

    /// Begins a transaction that may write. On SQLite it holds the one writer until its end: keep it short, sign nothing in it.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(Tx(Conn(match self {
            Self::Sqlite { writer, .. } => Inner::SqliteTx(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Inner::PostgresTx(pool.begin().await?),
        })))
    }

    /// `sqlite` or `postgresql`.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut conn = self.read().await?;
        match conn.native() {
            Native::Sqlite(native) => native.ping().await?,
            Native::Postgres(native) => native.ping().await?,
        }
        Ok(())
    }

    /// Waits for running statements and closes every connection.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Opens the file, and makes it and its WAL if it is new. While another process does the same, SQLite says "locked" at once, without
/// the patience of `busy_timeout`: then a little later it is done.
async fn open_file(writer: &SqlitePool) -> Result<(), StoreError> {
    let mut attempts = 0;
    loop {
        match writer.acquire().await {
            Ok(_) => return Ok(()),
            Err(sqlx::Error::Database(error)) if attempts < 100 && error.message().contains("locked") => attempts += 1,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Conn {
    pub(super) fn native(&mut self) -> Native<'_> {
        match &mut self.0 {
            Inner::Sqlite(conn) => Native::Sqlite(conn),
            Inner::SqliteTx(tx) => Native::Sqlite(tx),
            Inner::Postgres(conn) => Native::Postgres(conn),
            Inner::PostgresTx(tx) => Native::Postgres(tx),
        }
    }
}

impl Tx {
    /// Makes everything that ran in this transaction last.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self.0.0 {
            Inner::SqliteTx(tx) => tx.commit().await?,
            Inner::PostgresTx(tx) => tx.commit().await?,
            Inner::Sqlite(_) | Inner::Postgres(_) => {}
        }
        Ok(())
    }
}

impl Deref for Tx {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0
    }
}

/// Runs `$body` with `$native` bound to the native connection of whichever engine `$conn` is on.
macro_rules! on_engine {
    ($conn:expr, $native:ident => $body:expr) => {
        match $conn.native() {
            $crate::store::engine::Native::Sqlite($native) => $body,
            $crate::store::engine::Native::Postgres($native) => $body,
        }
    };
}

/// Runs a statement and gives the number of rows that it changed.
macro_rules! execute {
    ($conn:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::engine::on_engine!($conn, native =>
            sqlx::query($sql)$(.bind($value))*.execute(&mut *native).await.map(|done| done.rows_affected())
        ).map_err($crate::store::StoreError::from)
    };
}

/// Runs a query and gives its only row, if there is one.
macro_rules! fetch_optional {
    ($conn:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::engine::on_engine!($conn, native =>
            sqlx::query_as($sql)$(.bind($value))*.fetch_optional(&mut *native).await
        ).map_err($crate::store::StoreError::from)
    };
}

/// Runs a query and gives all its rows.
macro_rules! fetch_all {
    ($conn:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::engine::on_engine!($conn, native =>
            sqlx::query_as($sql)$(.bind($value))*.fetch_all(&mut *native).await
        ).map_err($crate::store::StoreError::from)
    };
}

pub(super) use {execute, fetch_all, fetch_optional, on_engine};
