//! The log, on standard error: how much of it, and in which form.

use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, fmt::format::debug_fn};

use crate::terminal::{self, Log, Voice};

/// How much is said, and how.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct LogArgs {
    /// How the log is written to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Say nothing but errors and results.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more than usual.
    #[arg(short, long, global = true)]
    verbose: bool,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging; without `-q` and `-v`, `RUST_LOG` chooses what is said. Of several ranks, the first one speaks for all.
pub(super) fn start(args: LogArgs, is_first: bool) {
    let quiet = args.quiet || !is_first;
    let voice = Voice { json: args.log_format == LogFormat::Json, quiet };
    terminal::speak(voice);
    let usual = || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,sida=info"));
    let filter = match (quiet, args.verbose) {
        (true, _) => EnvFilter::new("error"),
        (_, true) => EnvFilter::new("warn,sida=debug"),
        _ => usual(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(|| Log)
        // What it says about a log that cannot be written, it would say with a panic.
        .log_internal_errors(false);
    let started = if voice.json {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        // People read the words; what programs read stands beside them.
        let words = debug_fn(|writer, field, value| match field.name() {
            "message" => write!(writer, "{value:?}"),
            _ => Ok(()),
        });
        builder.without_time().with_level(false).with_ansi(false).fmt_fields(words).try_init()
    };
    // A second start, in a test, keeps the first.
    drop(started);
}

/// For a command line that cannot be read: as much of it as says how that is to be said.
pub(super) fn start_refused(arguments: &[String]) {
    let asked =
        |words: &[String]| matches!(words, [flag, format] if flag == "--log-format" && format == "json");
    let json = arguments.windows(2).any(asked) || arguments.iter().any(|word| word == "--log-format=json");
    terminal::speak(Voice { json, quiet: false });
}
