//! `junit.xml`: every expectation is a test, so that CI servers show it.

use std::fmt::Write as _;

use super::{data::ReportData, escape::markup, number::DASH};

/// One test suite, named after the pipeline.
pub fn junit(data: &ReportData) -> String {
    let failures = data.expectations.iter().filter(|e| !e.pass).count();
    let seconds: f64 =
        data.provenance.stages.iter().filter_map(|s| s.seconds).filter(|s| s.is_finite()).sum();
    let (name, tests) = (markup(&data.pipeline), data.expectations.len());
    let counts = format!(
        "name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{seconds:.1}\""
    );
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite {counts}>\n"
    );
    for e in &data.expectations {
        let (stage, metric) = (markup(&e.stage), markup(&e.metric));
        let _ = write!(out, "    <testcase classname=\"{name}.{stage}\" name=\"{metric} {}\"", e.limits());
        if e.pass {
            out.push_str("/>\n");
            continue;
        }
        let value = e.value.filter(|v| v.is_finite()).map_or(DASH.to_owned(), |v| v.to_string());
        let source = e.source.as_deref().map(|s| format!(" ({})", markup(s))).unwrap_or_default();
        let _ = write!(
            out,
            ">\n      <failure message=\"{metric} is {value}, expected {}\">{stage}: {metric} is {value}, expected {}{source}</failure>\n    </testcase>\n",
            e.limits(),
            e.limits()
        );
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}
