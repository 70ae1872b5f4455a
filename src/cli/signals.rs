//! What signals do: the first asks for a stop; work that cannot stop in time is cut off where that costs little.

use std::{
    thread,
    time::{Duration, Instant},
};

use signal_hook::{consts::SIGINT, low_level};
#[cfg(unix)]
use signal_hook::{
    consts::{SIGHUP, SIGQUIT, SIGTERM},
    iterator::Signals,
};

#[cfg(not(unix))]
use super::signals_polled::Signals;
use crate::{
    Error, Result,
    stop::{Stake, Stop},
    terminal,
};

/// How long work may take to stop by itself.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The same for a step of a training.
const PATIENCE_WITH_STEPS: Duration = Duration::from_secs(4);
/// `timeout` and the like send a signal to a process and once more to its group: nobody presses a key twice so soon.
const ONE_PRESS: Duration = Duration::from_millis(50);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// SIGINT, SIGTERM, SIGQUIT and SIGHUP ask for a stop; a second SIGINT ends the program at once.
///
/// # Errors
/// The system refuses to tell of signals.
pub(super) fn listen() -> Result<Stop> {
    let stop = Stop::default();
    let listened = signals().and_then(|signals| {
        let stop = stop.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || obey(signals, &stop))
    });
    let failed = |source| Error::Io { action: "listen to signals, not even", path: "SIGINT".into(), source };
    listened.map_err(failed)?;
    Ok(stop)
}

#[cfg(unix)]
fn signals() -> std::io::Result<Signals> {
    let hangup = (!ignores_hangups()).then_some(SIGHUP);
    Signals::new([SIGINT, SIGTERM, SIGQUIT].into_iter().chain(hangup))
}

#[cfg(not(unix))]
fn signals() -> std::io::Result<Signals> {
    Signals::new()
}

fn obey(mut signals: Signals, stop: &Stop) {
    let mut first: Option<Instant> = None;
    for signal in signals.forever() {
        match first {
            None => {
                first = Some(Instant::now());
                stop.ask();
                let stop = stop.clone();
                thread::spawn(move || cut_off_in_time(&stop));
            }
            Some(first) if signal == SIGINT && first.elapsed() > ONE_PRESS => {
                end(
                    "interrupted twice: stopped at once; the same command (without --force) continues from what was saved",
                );
            }
            Some(_) => {}
        }
    }
}

/// Ends the program when its work does not. While all is at stake time does not count.
fn cut_off_in_time(stop: &Stop) {
    let mut since = Instant::now();
    loop {
        thread::sleep(LOOK_AGAIN);
        match stop.stake() {
            Stake::Nothing if since.elapsed() > PATIENCE => {
                end(
                    "interrupted: what is finished is saved, and the same command (without --force) continues",
                );
            }
            Stake::SinceCheckpoint if since.elapsed() > PATIENCE_WITH_STEPS => {
                end(
                    "interrupted in the middle of a long step: the same command (without --force) continues from the last \
                     checkpoint; a smaller `microbatch_size` makes steps that can be stopped and saved",
                );
            }
            Stake::All => since = Instant::now(),
            Stake::Nothing | Stake::SinceCheckpoint => {}
        }
    }
}

fn end(words: &str) -> ! {
    let fields = [("message", words.into()), ("exit_code", Error::Interrupted.exit_code().into())];
    let fields = fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    terminal::error(&format!("error: {words}"), [fields]);
    low_level::exit(i32::from(Error::Interrupted.exit_code()))
}

/// Whether `nohup` or the like started the program: the end of the terminal is not its end then.
#[cfg(unix)]
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (SIGHUP - 1)) != 0
}
