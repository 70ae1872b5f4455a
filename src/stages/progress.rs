//! Progress of long work: a bar with rate and time left on a terminal, plain lines elsewhere.

use std::{
    fmt::Write as _,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::terminal;

/// Plain lines come no more often than this.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows how far a stage is. All of it goes to stderr.
#[derive(Debug)]
pub struct Progress {
    stage: String,
    unit: &'static str,
    total: u64,
    /// Where this process began, which is not 0 when it resumed.
    first: u64,
    started: Instant,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    /// Starts at `first` of `total` units (`images`, `files`, ...).
    pub fn new(stage: &str, unit: &'static str, first: u64, total: u64) -> Self {
        let now = Instant::now();
        let bar = std::io::stderr().is_terminal().then(|| bar(stage, unit, first, total));
        Self { stage: stage.to_owned(), unit, total, first, started: now, bar, last_line: now }
    }

    /// Reports the position, and in a few words what there is to say (`loss 0.12`).
    pub fn at(&mut self, position: u64, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(position);
            if !note.is_empty() {
                bar.set_message(note.to_owned());
            }
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            terminal::note(&self.line(position, note, self.started.elapsed()));
        }
    }

    /// Corrects the total, where it becomes known only on the way.
    pub fn of(&mut self, total: u64) {
        self.total = total;
        if let Some(bar) = &self.bar {
            bar.set_length(total);
        }
    }

    /// A line of its own, above the bar where there is one.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(terminal::plain(line)),
            None => terminal::note(line),
        }
    }

    /// Removes the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, position: u64, note: &str, elapsed: Duration) -> String {
        let percent = 100 * position.min(self.total) / self.total.max(1);
        let mut line = format!("  {}: {position} of {} {}, {percent} %", self.stage, self.total, self.unit);
        let done = position.saturating_sub(self.first);
        if done > 0 && elapsed > Duration::ZERO {
            let rate = done as f64 / elapsed.as_secs_f64();
            let left = Duration::from_secs_f64(self.total.saturating_sub(position) as f64 / rate);
            let _ = write!(line, ", {rate:.0}/s, {} left", human(left));
        }
        if !note.is_empty() {
            let _ = write!(line, ", {note}");
        }
        line
    }
}

fn bar(stage: &str, unit: &str, first: u64, total: u64) -> ProgressBar {
    let template =
        format!("  {{prefix}} [{{bar:32}}] {{pos}}/{{len}} {unit} {{rate}} {{eta}} left  {{msg:.dim}}");
    let style = ProgressStyle::with_template(&template)
        .expect("a valid template")
        .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0}/s", state.per_sec());
        })
        .progress_chars("=> ");
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(style);
    bar.set_prefix(stage.to_owned());
    bar.set_position(first);
    bar.reset_eta();
    bar
}

/// A duration as people say it: `42 s`, `3 min 05 s`, `7 h 12 min`, `4 d 03 h`.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_and_time_left_of_this_process_alone() {
        let progress = Progress::new("sid", "images", 10_000, 20_000);
        let line = progress.line(15_000, "loss 0.5", Duration::from_secs(50));
        assert_eq!(line, "  sid: 15000 of 20000 images, 75 %, 100/s, 50 s left, loss 0.5");
    }

    #[test]
    fn durations_read_well() {
        let said: Vec<String> = [42, 185, 25_920, 356_400].map(|s| human(Duration::from_secs(s))).into();
        assert_eq!(said, ["42 s", "3 min 05 s", "7 h 12 min", "4 d 03 h"]);
    }
}
