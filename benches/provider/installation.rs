//! An installation of the provider for a benchmark: a temporary folder with its configuration, accounts and clients made the way
//! an operator makes them, on SQLite as it is by default, or on PostgreSQL and Redis.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::process::{Process, free_address};

/// One account for each connection that signs in.
pub const ACCOUNTS: usize = 16;
/// Their password.
pub const PASSWORD: &str = "correct-horse-battery-staple";
/// Every client's secret.
pub const SECRET: &str = "a-secret-for-benchmarks-only-0123456789";
/// Where codes are sent; nobody listens there, and nobody asks.
pub const REDIRECT_URI: &str = "https://app.example/callback";

/// Where state is kept.
#[derive(Clone)]
pub enum Storage {
    Sqlite,
    /// URLs of servers on which databases may be created.
    PostgresAndRedis {
        postgres: url::Url,
        redis: String,
    },
}

impl Storage {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::PostgresAndRedis { .. } => "PostgreSQL + Redis",
        }
    }
}

/// Removed when dropped.
pub struct Installation {
    folder: TempDir,
    address: SocketAddr,
    settings: Vec<(&'static str, String)>,
    database: Option<(url::Url, String)>,
}

impl Installation {
    /// Makes an installation with its accounts and clients.
    pub async fn make(storage: &Storage) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        fs::write(folder.path().join("tessera.toml"), configuration(address))?;
        let mut installation = Self { folder, address, settings: Vec::new(), database: None };
        if let Storage::PostgresAndRedis { postgres, redis } = storage {
            let name = format!("tessera_bench_{}", std::process::id());
            let mut url = postgres.clone();
            url.set_path(&name);
            run_sql(postgres, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
            run_sql(postgres, format!("CREATE DATABASE {name}")).await?;
            installation.settings = vec![("TESSERA_DATABASE_URL", url.to_string()), ("TESSERA_REDIS_URL", redis.clone())];
            installation.database = Some((postgres.clone(), name));
            installation.command(&["db", "migrate"], "")?;
        }
        for account in 0..ACCOUNTS {
            installation.command(&["user", "add", &email(account), "--password-stdin"], PASSWORD)?;
        }
        Ok(installation)
    }

    /// Starts the provider.
    pub fn serve(&self) -> Result<Process> {
        let mut command = self.tessera();
        command.arg("serve");
        Process::start(command, self.address, "/readyz", &self.log()).with_context(|| {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            format!("the provider wrote:\n{log}")
        })
    }

    /// How many write transactions PostgreSQL has begun, ever; none on SQLite, which does not count them.
    pub async fn write_transactions(&self) -> Result<Option<i64>> {
        let Some((url, _)) = &self.database else { return Ok(None) };
        let mut connection = PgConnection::connect(url.as_str()).await?;
        // Reading gives no transaction a number; only writing does.
        let next = sqlx::query_scalar("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint");
        Ok(Some(next.fetch_one(&mut connection).await?))
    }

    /// Drops what lies outside of the folder.
    pub async fn remove(self) -> Result<()> {
        if let Some((url, name)) = &self.database {
            run_sql(url, format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        }
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn tessera(&self) -> Command {
        tessera(self.folder.path(), &self.settings)
    }

    fn command(&self, arguments: &[&str], input: &str) -> Result<()> {
        let mut command = self.tessera();
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.take().context("standard input")?.write_all(format!("{input}\n").as_bytes())?;
        ensure!(child.wait()?.success(), "tessera {} failed", arguments.join(" "));
        Ok(())
    }
}

/// The address by which an account signs in.
pub fn email(account: usize) -> String {
    format!("person{account}@example.com")
}

fn tessera(folder: &Path, settings: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    command.current_dir(folder).env_clear().envs(settings.iter().map(|(name, value)| (name, value)));
    command
}

/// Defaults, but for the limits on sign-ins: all of them come from one address here, and the point is how many it can take.
fn configuration(address: SocketAddr) -> String {
    let client = |id: &str, rest: &str| format!("[[clients]]\nclient_id = \"{id}\"\nclient_secret = \"{SECRET}\"\n{rest}\n");
    let service = "grant_types = [\"client_credentials\"]\naudiences = [\"https://api.example\"]\nscope = \"\"\n";
    [
        format!("issuer = \"http://{address}\"\nlisten = \"{address}\"\n"),
        "[limits]\nsign_in_per_account = 1000\nsign_in_per_address = 1000000\n".to_owned(),
        client("service-es256", service),
        client("service-rs256", &format!("{service}access_token_signed_response_alg = \"RS256\"\n")),
        client("app", &format!("redirect_uris = [\"{REDIRECT_URI}\"]\nskip_consent = true\n")),
        client("api", "grant_types = []\nresource_server_for = [\"https://api.example\"]\n"),
    ]
    .join("\n")
}

async fn run_sql(url: &url::Url, statement: String) -> Result<()> {
    let mut connection = PgConnection::connect(url.as_str()).await.context("connecting to PostgreSQL")?;
    connection.execute(AssertSqlSafe(statement.as_str())).await.with_context(|| statement.clone())?;
    Ok(())
}
