//! What is wrong with what is expected of a measurement, as far as the file itself tells.

use super::stage::Objection;
use crate::{report::Expectation, suggestion::listed};

/// Everything that is wrong in the list `field`. `measured` are the names of what is measured.
pub(super) fn objections(
    field: &str,
    expected: &[Expectation],
    measured: &[&str],
    trials: u32,
) -> Vec<Objection> {
    let mut objections = Vec::new();
    for (i, expected) in expected.iter().enumerate() {
        let field = format!("{field}/{i}");
        if !measured.contains(&expected.metric.as_str()) {
            let problem = format!("`{}` is not measured here", expected.metric);
            let objection = Objection::new(format!("{field}/metric"), problem);
            objections.push(objection.help(format!("measured are {}", listed(measured))));
        }
        objections.extend(contradiction(&field, expected));
        objections.extend(comparison(&field, expected, trials));
    }
    objections
}

fn contradiction(field: &str, expected: &Expectation) -> Option<Objection> {
    let Expectation { at_most, at_least, within, baseline, .. } = expected;
    let [least, most] = expected.range();
    match (at_least, at_most, within) {
        (None, None, None) if baseline.is_none() => {
            let problem = "an expectation needs `at_most`, `at_least`, `within` or `baseline`";
            Some(Objection::new(field, problem))
        }
        _ if least <= most => None,
        (Some(_), Some(_), None) => {
            let problem = format!("nothing is at most {most} and at least {least}");
            Some(Objection::new(format!("{field}/at_most"), problem))
        }
        _ => {
            let problem = "no number is within that range and what else is expected of it";
            Some(Objection::new(format!("{field}/within"), problem))
        }
    }
}

/// A comparison needs a spread, which one trial has not, or a tolerance.
fn comparison(field: &str, expected: &Expectation, trials: u32) -> Option<Objection> {
    match (&expected.baseline, expected.tolerance) {
        (Some(_), None) if trials < 2 => {
            let problem = "one trial has no spread by which a difference from the baseline could be judged";
            let help = "write `trials: 2` or more, or a `tolerance:` beside `baseline`";
            Some(Objection::new(format!("{field}/baseline"), problem).help(help))
        }
        (None, Some(_)) => {
            let help = "write `within: { of: ..., tolerance: ... }`, or name a `baseline:`";
            let problem = "`tolerance` has no `baseline` beside it";
            Some(Objection::new(format!("{field}/tolerance"), problem).help(help))
        }
        _ => None,
    }
}
