//! Log lines on standard error: for people on a terminal, one JSON object a line otherwise. Both have the moment in UTC, the level,
//! the room it comes from, the message, its fields, and the request's number if there is one.

use std::fmt;
use std::io::{self, IsTerminal};

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::{Clock, Timestamp};
use crate::config::{Log, LogFormat, LogLevel};
use crate::http::RequestId;

/// Crates that say at `info` what only their authors need.
const NOISY: [&str; 6] = ["sqlx", "hyper", "hyper_util", "h2", "rustls", "redis"];

/// Begins to log. The first call counts; later ones do nothing, so that tests may each call it.
pub fn init_logging(log: &Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let targets = NOISY.iter().map(|&name| (name, level.min(LevelFilter::WARN)));
    let filter = Targets::new().with_default(level).with_targets(targets);
    let terminal = io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let lines = Lines { json, clock: Clock::system() };
    let layer = tracing_subscriber::fmt::layer().event_format(lines).with_ansi(terminal && !json).with_writer(io::stderr);
    // An error says that logging has begun already.
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
}

/// Writes events as lines.
struct Lines {
    json: bool,
    clock: Clock,
}

/// An event's fields; `message` is one of them.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), Value::from(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.insert(field.name().to_owned(), Value::from(value.to_string()));
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields(mut fields) = fields;
        if let Some(id) = RequestId::current() {
            fields.insert("request_id".to_owned(), Value::from(id.as_str()));
        }
        let message = fields.remove("message").unwrap_or_default();
        let head =
            Head { at: rfc3339(self.clock.now()), level: *event.metadata().level(), target: event.metadata().target(), message };
        if self.json { head.write_json(writer, fields) } else { head.write_human(writer, &fields) }
    }
}

/// What every line begins with.
struct Head<'a> {
    at: String,
    level: Level,
    target: &'a str,
    message: Value,
}

impl Head<'_> {
    fn write_json(self, mut writer: Writer<'_>, mut fields: Map<String, Value>) -> fmt::Result {
        // After the fields, so that none of them can pass for one of these.
        fields.insert("timestamp".to_owned(), Value::from(self.at));
        fields.insert("level".to_owned(), Value::from(self.level.as_str().to_lowercase()));
        fields.insert("target".to_owned(), Value::from(self.target));
        fields.insert("message".to_owned(), self.message);
        writeln!(writer, "{}", Value::Object(fields))
    }

    fn write_human(self, mut writer: Writer<'_>, fields: &Map<String, Value>) -> fmt::Result {
        let (colour, dim, end) = match (writer.has_ansi_escapes(), self.level) {
            (false, _) => ("", "", ""),
            (true, Level::ERROR) => ("\x1b[31m", "\x1b[2m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[33m", "\x1b[2m", "\x1b[0m"),
            (true, Level::INFO) => ("\x1b[32m", "\x1b[2m", "\x1b[0m"),
            (true, _) => ("\x1b[34m", "\x1b[2m", "\x1b[0m"),
        };
        let Self { at, level, target, message } = self;
        write!(writer, "{dim}{at}{end} {colour}{level:>5}{end} {dim}{target}:{end} ")?;
        write_escaped(&mut writer, message.as_str().unwrap_or_default())?;
        for (name, value) in fields {
            write!(writer, " {dim}{name}={end}")?;
            match value.as_str() {
                Some(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => write_escaped(&mut writer, text)?,
                Some(text) => write!(writer, "{text:?}")?,
                None => write!(writer, "{value}")?,
            }
        }
        writeln!(writer)
    }
}

/// Writes text in which nothing can move the cursor, colour the terminal, or begin a line.
fn write_escaped(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| if c.is_control() { write!(writer, "{}", c.escape_default()) } else { writer.write_char(c) })
}

/// RFC 3339 in UTC, to the microsecond.
fn rfc3339(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1000)
        .ok()
        .and_then(|moment| moment.format(&format).ok())
        .unwrap_or_else(|| at.rfc3339())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(json: bool, ansi: bool, log: impl FnOnce()) -> String {
        let captured = Captured::default();
        let lines = Lines { json, clock: Clock::manual(Timestamp(1_700_000_000_123_456)) };
        let writer = captured.clone();
        let layer = tracing_subscriber::fmt::layer().event_format(lines).with_ansi(ansi).with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_of_json() {
        let line =
            logged(true, false, || tracing::warn!(target: "here", user = "ada\n", tries = 3, level = "forged", "too many"));
        let value: Value = serde_json::from_str(&line).unwrap();
        let expected = serde_json::json!({
            "timestamp": "2023-11-14T22:13:20.123456Z", "level": "warn", "target": "here", "message": "too many", "user": "ada\n", "tries": 3,
        });
        assert_eq!(value, expected);
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn a_line_for_people() {
        let line = logged(false, false, || tracing::info!(target: "here", user = "ada b", n = 1, "signed\nin \x1b[31m"));
        assert_eq!(line, "2023-11-14T22:13:20.123456Z  INFO here: signed\\nin \\u{1b}[31m n=1 user=\"ada b\"\n");
        let coloured = logged(false, true, || tracing::info!(target: "here", "signed in"));
        assert!(coloured.contains("\x1b[32m INFO\x1b[0m"), "{coloured}");
    }
}
