//! `tessera demo`: everything in one process, to look at.

use std::io::IsTerminal;
use std::path::PathBuf;

use super::output;
use crate::config::{Log, LogFormat, LogLevel};
use crate::demo::{self, Demo, Options, PASSWORD};
use crate::{server, telemetry};

/// Try it: the provider, a demo app and a demo API on this machine.
#[derive(clap::Args, Debug)]
#[command(long_about = "\
Runs the provider, a small app that signs in with it, and a small API that the app calls, all in one process. Open the app in a \
browser, sign in, and watch tokens being issued, checked, refreshed and taken back.

Listens on this machine's loopback addresses only: the accounts and their password are public. Run it as often as you like; what you \
changed stays until you delete the data folder.")]
pub struct Args {
    /// The provider's port. The app takes the next one, the API the one after.
    #[arg(long, value_name = "PORT", default_value_t = 8000, value_parser = clap::value_parser!(u16).range(1..=65533))]
    pub port: u16,

    /// Where the demo keeps its database and its key.
    #[arg(long, value_name = "DIR", default_value = "data/demo")]
    pub data: PathBuf,

    /// Give the demo accounts their first password again, and end their sign-ins.
    #[arg(long)]
    pub reset_passwords: bool,

    /// Log every event, not only what goes wrong.
    #[arg(long, short)]
    pub verbose: bool,
}

/// Runs the demo until Ctrl-C or SIGTERM.
///
/// # Errors
/// In words for the person at the terminal.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let level = if args.verbose { LogLevel::Info } else { LogLevel::Warn };
    telemetry::init_logging(&Log { format: LogFormat::Human, level, ..Log::default() });
    let stop = server::stop_on_signals()?;
    let options = Options { port: args.port, data: args.data, reset_passwords: args.reset_passwords };
    let demo = demo::open(&options).await?;
    output::print(&words(&demo, &options, std::io::stdout().is_terminal()))?;
    demo.run(stop).await
}

/// What the person needs to know.
fn words(demo: &Demo, options: &Options, bold: bool) -> String {
    let strong = |text: &str| if bold { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() };
    let places = &demo.places;
    let mut lines = vec![
        String::new(),
        format!("  {}", strong("Tessera demo")),
        String::new(),
        format!("  Open this   {}   the demo app: sign in there", strong(&places.app)),
        format!("  Provider    {}   signs people in; your account: {}/account", places.provider, places.provider),
        format!("  API         {}   what the app calls with its access token", places.api),
        String::new(),
    ];
    for (at, account) in demo.accounts.iter().enumerate() {
        let label = if at == 0 { "Account " } else { "     or " };
        lines.push(format!("  {label}    {}", strong(account.email)));
        lines.push(match account.has_first_password {
            true => format!("  Password    {}", strong(PASSWORD)),
            false => "  Password    the one you changed it to (forgotten? start with --reset-passwords)".to_owned(),
        });
    }
    lines.extend([
        String::new(),
        format!("  Only this machine can reach it. Its data is in {}.", options.data.display()),
        "  Stop it with Ctrl-C.".to_owned(),
        String::new(),
        String::new(),
    ]);
    lines.join("\n")
}
