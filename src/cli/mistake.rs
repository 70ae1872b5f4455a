//! What is said when the program itself is wrong; and a signal that would end it for a file that grows too large.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic,
    sync::{Arc, atomic::AtomicBool},
};

use super::invocation;
use crate::terminal;

/// From now on a panic is said to be a mistake of ours, and with which version and command it came.
pub(super) fn own_up() {
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("without a word");
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let mut text = words(message, &place, &invocation::command());
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            text = format!("{text}\n{backtrace}");
        }
        let fields = [("message".to_owned(), text.clone().into()), ("exit_code".to_owned(), 101.into())];
        terminal::error(&format!("error: {text}"), [fields.into_iter().collect()]);
    }));
}

fn words(message: &str, place: &str, command: &str) -> String {
    format!(
        "a mistake in sida, not of yours: it panicked{place}: {message}\n  This is sida {}, as `{command}`. What is finished is saved. \
         Please report it with these lines",
        env!("CARGO_PKG_VERSION")
    )
}

/// Where files may not grow further (`ulimit -f`), the write fails and says so, instead of a signal that ends the program.
pub(super) fn survive_large_files() {
    #[cfg(unix)]
    // Where it cannot be had, the program ends as any other.
    drop(signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_whose_mistake_it_is_and_what_to_report() {
        let said = words("index out of bounds", " at src/x.rs:1:2", "sida run a.yaml");
        for part in [
            "not of yours",
            "src/x.rs:1:2",
            "index out of bounds",
            "sida run a.yaml",
            env!("CARGO_PKG_VERSION"),
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
}
