//! The log, on standard error.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::args::LogFormat;
use crate::terminal::Log;

/// Starts logging; `RUST_LOG` chooses what is said.
pub(super) fn start(format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    let filter =
        if std::env::var_os("RUST_LOG").is_some() { filter } else { EnvFilter::new("warn,sida=info") };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
        // What it says about a log that cannot be written, it would say with a panic.
        .log_internal_errors(false);
    let started = match format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => {
            builder.without_time().with_level(false).with_target(false).with_ansi(false).try_init()
        }
    };
    // A second start, in a test, keeps the first.
    drop(started);
}
