//! The command line: one file per command. Commands change things only through `lifecycle`, as pages and endpoints do.

mod client;
mod client_options;
mod config;
mod db;
mod demo;
mod failure;
mod forward_auth;
mod healthcheck;
mod key;
mod key_import;
mod key_rewrap;
mod logout_failures;
mod output;
mod prompt;
mod registration_token;
mod serve;
mod token;
mod token_state;
mod user;
mod user_options;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Effective, Log, LogFormat, LogLevel, load};
use crate::telemetry;

const EXAMPLES: &str = "\
Examples:
  tessera demo                                    try everything on this machine
  tessera serve                                   run the provider; SQLite in ./data unless configured
  tessera user add ada@example.com --name \"Ada Lovelace\"
  tessera client add --name Shop --redirect-uri https://shop.example/callback
  tessera config show                             every setting and where it comes from

Exit codes:
  0  done
  1  failed; the reason is on standard error
  2  wrong usage
  3  what was named does not exist

Settings come from tessera.toml in the working directory (or --config FILE), overridden by TESSERA_* variables.";

/// An OpenID Connect provider whose tokens can be taken back
#[derive(Debug, Parser)]
#[command(name = "tessera", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    /// Read this configuration file instead of ./tessera.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    /// Run the provider
    #[command(after_help = serve::HELP)]
    Serve,
    /// Add, change and remove people's accounts
    #[command(subcommand, arg_required_else_help = true)]
    User(user::Command),
    /// Register, change and remove apps, services and resource servers
    #[command(subcommand, arg_required_else_help = true)]
    Client(client::Command),
    /// List, rotate, revoke and import signing keys; change the key that encrypts them
    #[command(subcommand, arg_required_else_help = true)]
    Key(key::Command),
    /// Look into a token, or take it back
    #[command(subcommand, arg_required_else_help = true)]
    Token(token::Command),
    /// Bring the database up to date, or look at its state
    #[command(subcommand, arg_required_else_help = true)]
    Db(db::Command),
    /// Check the configuration, or show what is in effect
    #[command(subcommand, arg_required_else_help = true)]
    Config(config::Command),
    ForwardAuth(forward_auth::Args),
    /// Exit with 0 if the provider of this configuration answers that it is ready
    #[command(hide = true)]
    Healthcheck,
}

/// What every command has.
struct Globals {
    config: Option<PathBuf>,
}

impl Globals {
    /// Reads the configuration from the file and the environment.
    fn load(&self) -> anyhow::Result<Effective> {
        load(self.config.as_deref(), environment()).map_err(|error| {
            let problems = error.to_string().replace('\n', "\n  ");
            anyhow::anyhow!("the configuration cannot be used:\n  {problems}")
        })
    }

    /// The provider of this configuration, for a command. Of what happens inside, only warnings are logged.
    async fn open(&self) -> anyhow::Result<Arc<App>> {
        let effective = self.load()?;
        for warning in &effective.warnings {
            output::note(&format!("warning: {warning}"));
        }
        telemetry::init_logging(&Log { format: LogFormat::Human, level: LogLevel::Warn, ..Log::default() });
        App::open(effective.config, Clock::system()).await
    }
}

/// The environment. A value that is not UTF-8 is not dropped: it arrives broken, and is refused with its name.
#[allow(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

/// Reads the arguments, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    let Cli { config, command } = Cli::parse();
    match run(Globals { config }, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("error: {}", failure::words(&error)));
            failure::exit_code(&error)
        }
    }
}

fn run(globals: Globals, command: Command) -> anyhow::Result<()> {
    // Whoever serves uses every core (tokio's default); a command needs one thread and starts sooner with it.
    let mut runtime = match command {
        Command::Serve | Command::Demo(_) | Command::ForwardAuth(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args).await,
            Command::Serve => serve::run(&globals).await,
            Command::User(command) => user::run(&globals, command).await,
            Command::Client(command) => client::run(&globals, command).await,
            Command::Key(command) => key::run(&globals, command).await,
            Command::Token(command) => token::run(&globals, command).await,
            Command::Db(command) => db::run(&globals, command).await,
            Command::Config(command) => config::run(&globals, command),
            Command::ForwardAuth(args) => forward_auth::run(&globals, args).await,
            Command::Healthcheck => healthcheck::run(&globals),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every command and every option, down the tree.
    fn each(command: &clap::Command, look: &mut dyn FnMut(&clap::Command)) {
        look(command);
        command.get_subcommands().for_each(|below| each(below, look));
    }

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn everything_says_what_it_is_for() {
        each(&Cli::command(), &mut |command| {
            assert!(command.get_about().is_some(), "{} has no purpose", command.get_name());
            for argument in command.get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
            {
                assert!(argument.get_help().is_some(), "{} {} has no purpose", command.get_name(), argument.get_id());
            }
        });
    }

    #[test]
    fn no_option_takes_a_password_or_a_secret() {
        each(&Cli::command(), &mut |command| {
            for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
                let id = argument.get_id().as_str();
                assert!(!id.contains("password") && !id.contains("secret"), "{} {id}", command.get_name());
            }
        });
        let refused = Cli::try_parse_from(["tessera", "user", "add", "ada@example.com", "--password", "x"]).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
    }

    #[test]
    fn the_configuration_file_may_be_named_anywhere() {
        for arguments in [["tessera", "--config", "a.toml", "key", "list"], ["tessera", "key", "list", "--config", "a.toml"]] {
            assert_eq!(Cli::try_parse_from(arguments).unwrap().config, Some(PathBuf::from("a.toml")));
        }
    }
}
