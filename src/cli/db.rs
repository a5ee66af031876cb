//! `tessera db`: migrations.

use std::path::Path;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Globals, output};
use crate::app::open_store;
use crate::config::Effective;
use crate::store::migrate::MigrationStatus;

/// See `tessera db --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Bring the database to this program's schema
    #[command(after_help = MIGRATE_HELP)]
    Migrate,
    /// Show the database and which migrations it has; changes nothing
    #[command(after_help = "Exits with 1 if the database does not answer or is newer than this program.")]
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

const MIGRATE_HELP: &str = "\
Run it once before starting a newer program on PostgreSQL; on SQLite, `tessera serve` does it by itself.
Make a backup first: there is no way back but that.";

pub(super) async fn run(globals: &Globals, command: Command) -> anyhow::Result<()> {
    let effective = globals.load()?;
    match command {
        Command::Migrate => migrate(&effective).await,
        Command::Status { json } => status(&effective, json).await,
    }
}

async fn migrate(effective: &Effective) -> anyhow::Result<()> {
    let store = open_store(&effective.config).await?;
    let missing: Vec<MigrationStatus> = store.migration_status().await?.into_iter().filter(|one| !one.applied).collect();
    store.migrate().await?;
    store.close().await;
    for migration in &missing {
        output::line(&format!("applied {:04} {}", migration.version, migration.description))?;
    }
    output::line(if missing.is_empty() { "The database was up to date." } else { "The database is up to date." })
}

async fn status(effective: &Effective, as_json: bool) -> anyhow::Result<()> {
    let url = masked_url(effective);
    // Looking must not make a file.
    if sqlite_file(&effective.config.database.url).is_some_and(|file| !Path::new(file).exists()) {
        let words = format!("engine:    sqlite\ndatabase:  {url}\n\nThere is no database yet: the first start makes it.");
        return output::either(
            as_json,
            || json!({ "engine": "sqlite", "url": url, "exists": false, "up_to_date": false, "migrations": [] }),
            &words,
        );
    }
    let store = open_store(&effective.config).await?;
    let (engine, migrations) = (store.engine(), store.migration_status().await?);
    store.close().await;
    let up_to_date = migrations.iter().all(|migration| migration.applied);
    if as_json {
        let migrations: Vec<Value> = migrations
            .iter()
            .map(|one| json!({ "version": one.version, "description": one.description, "applied": one.applied }))
            .collect();
        return output::json(
            &json!({ "engine": engine, "url": url, "exists": true, "up_to_date": up_to_date, "migrations": migrations }),
        );
    }
    let state = |applied: bool| if applied { "applied" } else { "missing" };
    let rows: Vec<Vec<String>> = migrations
        .iter()
        .map(|one| vec![format!("{:04}", one.version), one.description.to_string(), state(one.applied).to_owned()])
        .collect();
    output::print(&output::fields(&[("engine", engine.to_owned()), ("database", url)]))?;
    output::print(&format!("\n{}", output::table(&["migration", "name", "state"], &rows)))?;
    output::line(if up_to_date { "\nThe database is up to date." } else { "\nRun `tessera db migrate`." })
}

/// The database's URL as `config show` prints it.
fn masked_url(effective: &Effective) -> String {
    let shown: Value = serde_json::from_str(&effective.show(true)).unwrap_or_default();
    shown.pointer("/database.url/value").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn sqlite_file(url: &str) -> Option<&str> {
    Some(url.strip_prefix("sqlite:")?.trim_start_matches("//"))
}
