//! Bringing the database to this binary's schema.

use std::borrow::Cow;
use std::sync::LazyLock;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};

use super::engine::on_engine;
use super::{Store, StoreError};

/// The migrations of both engines, by version. A new one is added here and as a file in both folders.
macro_rules! migrations {
    ($folder:literal) => {
        LazyLock::new(|| {
            migrator(&[
                (1, "start", include_str!(concat!("../../migrations/", $folder, "/0001_start.sql"))),
                (2, "revocation_audience", include_str!(concat!("../../migrations/", $folder, "/0002_revocation_audience.sql"))),
                (3, "status_lists", include_str!(concat!("../../migrations/", $folder, "/0003_status_lists.sql"))),
                (4, "client_origin", include_str!(concat!("../../migrations/", $folder, "/0004_client_origin.sql"))),
                (5, "pairwise", include_str!(concat!("../../migrations/", $folder, "/0005_pairwise.sql"))),
                (6, "logout", include_str!(concat!("../../migrations/", $folder, "/0006_logout.sql"))),
                (7, "device", include_str!(concat!("../../migrations/", $folder, "/0007_device.sql"))),
                (8, "registration_tokens", include_str!(concat!("../../migrations/", $folder, "/0008_registration_tokens.sql"))),
                (9, "pushed_requests", include_str!(concat!("../../migrations/", $folder, "/0009_pushed_requests.sql"))),
                (10, "responses", include_str!(concat!("../../migrations/", $folder, "/0010_responses.sql"))),
                (11, "client_indexes", include_str!(concat!("../../migrations/", $folder, "/0011_client_indexes.sql"))),
                (12, "session_clients", include_str!(concat!("../../migrations/", $folder, "/0012_session_clients.sql"))),
            ])
        })
    };
}

static SQLITE: LazyLock<Migrator> = migrations!("sqlite");
static POSTGRES: LazyLock<Migrator> = migrations!("postgres");

fn migrator(texts: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = texts.iter().map(|&(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// One migration, and whether the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    pub version: i64,
    pub description: Cow<'static, str>,
    pub applied: bool,
}

impl Store {
    fn migrator(&self) -> &'static Migrator {
        match self {
            Self::Sqlite { .. } => &SQLITE,
            Self::Postgres(_) => &POSTGRES,
        }
    }

    /// Applies what is missing. Several processes may call it at once: one of them does it.
    ///
    /// # Errors
    /// In words, if the database is newer than this binary or was changed by hand.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let migrator = self.migrator();
        match self {
            // sqlx has no lock for SQLite: a transaction around all of it is one.
            Self::Sqlite { writer, .. } => {
                let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
                let done = migrator.run_direct(None, &mut *tx, false).await;
                tx.commit().await?;
                done
            }
            Self::Postgres(pool) => migrator.run(pool).await,
        }
        .map_err(in_words)
    }

    /// Every migration known to this binary.
    ///
    /// # Errors
    /// As `migrate`, if the database has migrations that this binary does not know.
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        let migrator = self.migrator();
        // The writer's connection: on SQLite the table of migrations may have to be made first.
        let mut tx = self.begin().await?;
        let applied = on_engine!(tx, native => async {
            native.ensure_migrations_table(&migrator.table_name).await?;
            native.list_applied_migrations(&migrator.table_name).await
        }.await)
        .map_err(in_words)?;
        tx.commit().await?;
        if let Some(unknown) = applied.iter().find(|done| !migrator.version_exists(done.version)) {
            return Err(in_words(MigrateError::VersionMissing(unknown.version)));
        }
        let known = migrator.iter().map(|migration| MigrationStatus {
            version: migration.version,
            description: migration.description.clone(),
            applied: applied.iter().any(|done| done.version == migration.version),
        });
        Ok(known.collect())
    }
}

fn in_words(error: MigrateError) -> StoreError {
    StoreError::Migration(match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionNotPresent(version) => format!(
            "the database is newer than this program (it has migration {version}): start the newer program, or restore a backup made before the upgrade"
        ),
        MigrateError::VersionMismatch(version) => {
            format!("migration {version} in the database differs from this program's: the database was made by another build")
        }
        MigrateError::Dirty(version) => {
            format!("migration {version} was begun and not finished: restore the backup made before the upgrade")
        }
        other => format!("migration failed: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_the_list() {
        for (folder, migrator) in [("sqlite", &SQLITE), ("postgres", &POSTGRES)] {
            let mut files: Vec<String> = std::fs::read_dir(format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR")))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let listed: Vec<String> =
                migrator.iter().map(|migration| format!("{:04}_{}.sql", migration.version, migration.description)).collect();
            assert_eq!(files, listed, "{folder}");
        }
    }
}
