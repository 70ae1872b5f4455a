//! `junit.xml`: every expectation of a run is a test, and what ended the run an error, so that CI servers show both.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{escape::plain, verdict::Verdict};
use crate::secret;

/// What CI is told of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunResult {
    /// The pipeline's name.
    pub pipeline: String,
    /// Wall time of its finished stages, in seconds.
    pub seconds: f64,
    /// What was expected of the finished stages, with their names.
    pub expectations: Vec<(String, Verdict)>,
    /// What ended the run before its end; of a sweep, what ended each of its points.
    pub errors: Vec<RunError>,
}

/// What ended a run before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunError {
    /// The stage that ran; none where it was not that far.
    pub stage: Option<String>,
    /// What happened.
    pub message: String,
}

/// One test suite, named after the pipeline.
pub fn junit(run: &RunResult) -> String {
    let name = plain(&run.pipeline);
    let mut suite = TestSuite::new(name.clone());
    suite.add_test_cases(run.expectations.iter().map(|(stage, verdict)| {
        let stage = plain(stage);
        let status = if verdict.pass { TestCaseStatus::success() } else { failure(&stage, verdict) };
        let title = format!("{} {}", plain(&verdict.expected.metric), verdict.expected.words());
        let mut case = TestCase::new(title, status);
        case.set_classname(format!("{name}.{stage}"));
        case
    }));
    for RunError { stage, message } in &run.errors {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        let message = plain(&secret::masked(message));
        status.set_message(message.clone()).set_description(message);
        let stage = stage.as_deref().map_or_else(|| "run".to_owned(), plain);
        let mut case = TestCase::new(format!("{stage} ends"), status);
        case.set_classname(format!("{name}.{stage}"));
        suite.add_test_case(case);
    }
    let time = Duration::try_from_secs_f64(run.seconds).unwrap_or_default();
    suite.set_time(time);
    let mut report = Report::new(name);
    report.set_time(time).add_test_suite(suite);
    report.to_string().expect("XML in memory is written")
}

fn failure(stage: &str, verdict: &Verdict) -> TestCaseStatus {
    let sentence = verdict.said();
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_description(format!("{stage}: {sentence}{}", verdict.source())).set_message(sentence);
    status
}
