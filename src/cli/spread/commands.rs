//! One command per line.

use std::fmt::Write as _;

use super::sweep_file::SweepFile;

pub(super) fn file(sweep: &SweepFile<'_>) -> String {
    let count = sweep.points.len();
    let mut text = format!(
        "# The {count} points of the sweep `{}`, a command for each, in the folder where this was printed. Run them one after
# another, or any number at once, on one machine or on many that share the folder of runs: the processes divide the stages
# among them. The last command makes the table; where it starts before the others have ended, it helps them first.
",
        sweep.name
    );
    for number in 1..=count {
        let _ = writeln!(text, "{} # {}", sweep.point(&number.to_string()), sweep.task(count, number));
    }
    text + &sweep.command()
}
