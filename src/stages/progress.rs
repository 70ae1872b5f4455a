//! Progress of long work: a bar with rate and time left on a terminal, elsewhere lines, or JSON objects.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::{kimg::Kimg, terminal};

/// Lines come no more often than this.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Rates of a shorter time say nothing.
const LEAST: Duration = Duration::from_secs(1);
/// The unit that is shown in kB, MB and so on.
pub(super) const BYTES: &str = "bytes";
/// Characters of a bar, and of a stage's name before it: all but the losses is within 60 columns.
const BAR: usize = 10;
const NAME: usize = 12;

/// What is said of the work besides its progress: names and values, such as losses.
pub type Losses<'a> = &'a [(&'static str, f64)];

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
    last_line: Option<Instant>,
    /// What comes after this, where that is known.
    after: Option<Duration>,
}

impl Progress {
    /// Starts at `first` of `total` units (`images`, `files`, ...).
    pub fn new(stage: &str, unit: &'static str, first: u64, total: u64) -> Self {
        let bar = terminal::is_lively().then(|| {
            // A message that is too wide for the terminal is cut.
            let style = ProgressStyle::with_template("{wide_msg}").expect("a valid template");
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
            bar.with_style(style)
        });
        Self {
            stage: stage.to_owned(),
            unit,
            total,
            first,
            started: Instant::now(),
            bar,
            last_line: None,
            after: None,
        }
    }

    /// Of a pipeline in which so much comes after it.
    pub(super) fn before(self, after: Option<Duration>) -> Self {
        Self { after, ..self }
    }

    /// Reports the position, and the losses of this moment where there are some.
    pub fn at(&mut self, position: u64, losses: Losses<'_>) {
        let elapsed = self.started.elapsed();
        if let Some(bar) = &self.bar {
            bar.set_message(self.bar_line(position, losses, elapsed));
        } else if self.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
            self.last_line = Some(Instant::now());
            terminal::progress(
                || self.line(position, losses, elapsed),
                || self.fields(position, losses, elapsed),
            );
        }
    }

    /// Begins at another place, towards another total.
    pub fn from(&mut self, first: u64, total: u64) {
        (self.first, self.total, self.started) = (first, total, Instant::now());
    }

    /// Corrects the total, where it becomes known only on the way.
    pub fn of(&mut self, total: u64) {
        self.total = total;
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

    /// Units per second in this process, and the time left.
    fn rate(&self, position: u64, elapsed: Duration) -> Option<(f64, Duration)> {
        let done = position.saturating_sub(self.first);
        (done > 0 && elapsed >= LEAST).then(|| {
            let rate = done as f64 / elapsed.as_secs_f64();
            (rate, Duration::from_secs_f64(self.total.saturating_sub(position) as f64 / rate))
        })
    }

    fn percent(&self, position: u64) -> u64 {
        100 * position.min(self.total) / self.total.max(1)
    }

    /// `, 100/s, 50 s left, loss 0.5000`, as far as it is known.
    fn details(&self, position: u64, losses: Losses<'_>, elapsed: Duration) -> String {
        let mut text = String::new();
        if let Some((rate, left)) = self.rate(position, elapsed) {
            let digits = usize::from(rate < 10.0);
            let rate = if self.unit == BYTES { bytes(rate as u64) } else { format!("{rate:.digits$}") };
            let _ = write!(text, ", {rate}/s");
            if self.total > 0 {
                let _ = write!(text, ", {} left", human(left));
                // The last stage's time is the pipeline's.
                if let Some(after) = self.after.filter(|after| *after >= LEAST) {
                    let _ = write!(text, " ({} of all)", human(left + after));
                }
            }
        }
        for (name, value) in losses {
            let _ = write!(text, ", {} {value:.4}", name.replace('_', " "));
        }
        text
    }

    fn line(&self, position: u64, losses: Losses<'_>, elapsed: Duration) -> String {
        let (stage, total, unit) = (&self.stage, self.total, self.unit);
        let details = self.details(position, losses, elapsed);
        let percent = self.percent(position);
        match (unit, total) {
            (BYTES, 0) => format!("  {stage}: {}{details}", bytes(position)),
            (BYTES, _) => format!("  {stage}: {} of {}, {percent} %{details}", bytes(position), bytes(total)),
            _ => format!("  {stage}: {position} of {total} {unit}, {percent} %{details}"),
        }
    }

    fn bar_line(&self, position: u64, losses: Losses<'_>, elapsed: Duration) -> String {
        let percent = self.percent(position);
        let full = "=".repeat(BAR * percent as usize / 100);
        let name: String = self.stage.chars().take(NAME).collect();
        let details = self.details(position, losses, elapsed);
        if self.unit == BYTES && self.total == 0 {
            return format!("  {name} {}{details}", bytes(position));
        }
        format!("  {name} [{full:BAR$}] {percent} %{details}")
    }

    fn fields(&self, position: u64, losses: Losses<'_>, elapsed: Duration) -> Map<String, Value> {
        let rate = self.rate(position, elapsed);
        let losses: Map<String, Value> =
            losses.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let mut fields = json!({
            "stage": self.stage,
            "unit": self.unit,
            "position": position,
            "total": self.total,
            "rate": rate.map(|(rate, _)| rate),
            "eta_seconds": rate.map(|(_, left)| left.as_secs_f64()),
            "losses": losses,
        });
        if let Some((after, (_, left))) = self.after.zip(rate) {
            fields["pipeline_eta_seconds"] = json!((left + after).as_secs_f64());
        }
        if self.unit == "images" {
            fields["kimg"] = json!(Kimg::from_nimg(position).0);
        }
        fields.as_object_mut().map(std::mem::take).unwrap_or_default()
    }
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

/// 1234567 => `1.2 MB`.
pub fn bytes(count: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// 1234567 => `1,234,567`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_people_say_them_with_and_without_a_total() {
        assert_eq!((bytes(223_000_000).as_str(), bytes(999).as_str()), ("223.0 MB", "999 B"));
        let mut progress = Progress::new("edm", BYTES, 0, 0);
        let ten = Duration::from_secs(10);
        assert_eq!(progress.line(20_000_000, &[], ten), "  edm: 20.0 MB, 2.0 MB/s");
        assert_eq!(progress.bar_line(20_000_000, &[], ten), "  edm 20.0 MB, 2.0 MB/s");
        progress.from(10_000_000, 40_000_000);
        let line = progress.line(20_000_000, &[], ten);
        assert_eq!(line, "  edm: 20.0 MB of 40.0 MB, 50 %, 1.0 MB/s, 20 s left", "of this process alone");
    }

    #[test]
    fn what_is_said_tells_rate_and_time_left_of_this_process_alone() {
        let progress = Progress::new("sid", "images", 10_000, 20_000);
        let (losses, elapsed) = ([("fake_score_loss", 0.5)], Duration::from_secs(50));
        let line = progress.line(15_000, &losses, elapsed);
        assert_eq!(line, "  sid: 15000 of 20000 images, 75 %, 100/s, 50 s left, fake score loss 0.5000");
        let bar = progress.bar_line(15_000, &losses, elapsed);
        assert_eq!(bar, "  sid [=======   ] 75 %, 100/s, 50 s left, fake score loss 0.5000");
        let fields = Value::Object(progress.fields(15_000, &losses, elapsed));
        assert_eq!(
            (&fields["kimg"], &fields["rate"], &fields["eta_seconds"]),
            (&json!(15.0), &json!(100.0), &json!(50.0))
        );
        assert_eq!((&fields["stage"], &fields["losses"]["fake_score_loss"]), (&json!("sid"), &json!(0.5)));
        assert!(fields.get("pipeline_eta_seconds").is_none(), "nothing is invented");
        let progress = progress.before(Some(Duration::from_secs(100)));
        let line = progress.line(15_000, &[], elapsed);
        assert_eq!(line, "  sid: 15000 of 20000 images, 75 %, 100/s, 50 s left (2 min 30 s of all)");
        assert_eq!(progress.fields(15_000, &[], elapsed)["pipeline_eta_seconds"], json!(150.0));
        let progress = progress.before(Some(Duration::ZERO));
        assert!(!progress.line(15_000, &[], elapsed).contains("of all"), "it is the last");
        assert!(!progress.line(10_001, &[], Duration::from_millis(1)).contains("/s"), "no rate of a moment");
    }

    #[test]
    fn a_bar_fits_a_narrow_terminal_but_for_the_losses() {
        let progress = Progress::new(&"s".repeat(64), "images", 0, 10_000_000_000);
        let bar = progress.bar_line(9_999_999_999, &[], Duration::from_secs(9_999));
        assert!(bar.chars().count() <= 60, "{bar}");
        let slow = progress.bar_line(20_000_000, &[], Duration::from_hours(100));
        assert!(slow.chars().count() <= 60, "{slow}");
    }

    #[test]
    fn durations_and_counts_read_well() {
        let said: Vec<String> = [42, 185, 25_920, 356_400].map(|s| human(Duration::from_secs(s))).into();
        assert_eq!((grouped(180_369).as_str(), grouped(12).as_str()), ("180,369", "12"));
        assert_eq!(said, ["42 s", "3 min 05 s", "7 h 12 min", "4 d 03 h"]);
    }
}
