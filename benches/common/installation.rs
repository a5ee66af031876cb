//! An installation of the provider for a benchmark: a temporary folder with its configuration, on SQLite as it is by default, or with a
//! database of its own on PostgreSQL, and perhaps Redis. Accounts and clients are made the way an operator makes them.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::process::{Process, free_address};

/// Every client's secret.
pub const SECRET: &str = "a-secret-for-benchmarks-only-0123456789";
/// Where codes are sent; nobody listens there, and nobody asks.
pub const REDIRECT_URI: &str = "https://app.example/callback";

/// Where state is kept.
#[derive(Clone)]
pub enum Storage {
    Sqlite,
    /// URLs of servers; databases may be created on the first.
    Postgres {
        url: url::Url,
        redis: Option<String>,
    },
}

/// Removed when dropped.
pub struct Installation {
    folder: TempDir,
    /// The issuer's.
    pub address: SocketAddr,
    settings: Vec<(&'static str, String)>,
    database: Option<(url::Url, String)>,
}

impl Storage {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres { redis: None, .. } => "PostgreSQL",
            Self::Postgres { redis: Some(_), .. } => "PostgreSQL + Redis",
        }
    }

    /// PostgreSQL and Redis, if the environment names both.
    pub fn servers() -> Result<Option<(url::Url, String)>> {
        let server = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
        match (server("TESSERA_TEST_POSTGRES"), server("TESSERA_TEST_REDIS")) {
            (Some(postgres), Some(redis)) => Ok(Some((postgres.parse().context("TESSERA_TEST_POSTGRES")?, redis))),
            _ => {
                eprintln!("left out: PostgreSQL and Redis are not configured (run benches/run)");
                Ok(None)
            }
        }
    }
}

impl Installation {
    /// Makes an installation with what `configuration` says for an issuer at this address.
    pub async fn make(storage: &Storage, configuration: impl FnOnce(SocketAddr) -> String) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        fs::write(folder.path().join("tessera.toml"), configuration(address))?;
        let mut installation = Self { folder, address, settings: Vec::new(), database: None };
        if let Storage::Postgres { url: server, redis } = storage {
            let name = format!("tessera_bench_{}", std::process::id());
            let mut url = server.clone();
            url.set_path(&name);
            run_sql(server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
            run_sql(server, format!("CREATE DATABASE {name}")).await?;
            installation.settings = vec![("TESSERA_DATABASE_URL", url.to_string())];
            if let Some(redis) = redis {
                installation
                    .settings
                    .extend([("TESSERA_REDIS_URL", redis.clone()), ("TESSERA_REDIS_PREFIX", format!("{name}:"))]);
            }
            installation.database = Some((server.clone(), name));
            installation.command(&["db", "migrate"], "")?;
        }
        Ok(installation)
    }

    /// Starts the provider.
    pub fn serve(&self) -> Result<Process> {
        self.serve_with(self.address, &[])
    }

    /// Starts the provider, or a replica of it, at `address` and with more settings.
    pub fn serve_with(&self, address: SocketAddr, settings: &[(&str, String)]) -> Result<Process> {
        let mut command = self.tessera();
        command.arg("serve").env("TESSERA_LISTEN", address.to_string());
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        let log = self.folder.path().join(format!("log-{}", address.port()));
        Process::start(command, address, "/readyz", &log).with_context(|| {
            let written = fs::read_to_string(&log).unwrap_or_default();
            format!("the provider wrote:\n{written}")
        })
    }

    /// Runs a command of the operator's, with a line of input.
    pub fn command(&self, arguments: &[&str], input: &str) -> Result<()> {
        let mut command = self.tessera();
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.take().context("standard input")?.write_all(format!("{input}\n").as_bytes())?;
        ensure!(child.wait()?.success(), "tessera {} failed", arguments.join(" "));
        Ok(())
    }

    /// What a process of ours needs to open the same installation, as the operator's commands do.
    pub fn config(&self) -> tessera::config::Config {
        let mut config = tessera::config::Config { issuer: format!("http://{}", self.address), ..Default::default() };
        let setting = |wanted| self.settings.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
        let sqlite = || format!("sqlite:{}", self.folder.path().join("data/tessera.db").display());
        config.database.url = setting("TESSERA_DATABASE_URL").unwrap_or_else(sqlite);
        config.redis.url = setting("TESSERA_REDIS_URL");
        config.redis.prefix = setting("TESSERA_REDIS_PREFIX").unwrap_or(config.redis.prefix);
        config.keys.master_key_path = self.folder.path().join("keys/master.key");
        config
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

    fn tessera(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
        command.current_dir(self.folder.path()).env_clear().envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }
}

async fn run_sql(url: &url::Url, statement: String) -> Result<()> {
    let mut connection = PgConnection::connect(url.as_str()).await.context("connecting to PostgreSQL")?;
    connection.execute(AssertSqlSafe(statement.as_str())).await.with_context(|| statement.clone())?;
    Ok(())
}
