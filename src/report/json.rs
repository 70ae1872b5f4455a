//! `report.json`: the same for programs. A value that is not finite is `null`.

use serde_json::{Map, Value, json as value};

use super::{
    data::{MeasuredRow, ReportData},
    verdict::Verdict,
};

/// `pipeline`, `verdict`, `scores.<stage>.<metric>`, `expectations`, and the table, settings and provenance.
pub fn json(data: &ReportData) -> Value {
    let settings = data.settings.iter().map(|s| (s.stage.clone(), value!({ s.verb.clone(): s.values })));
    value!({
        "pipeline": data.pipeline,
        "point": data.point,
        "verdict": data.verdict().as_str(),
        "caption": data.caption,
        "description": data.description,
        "scores": data.scores,
        "expectations": data.expectations.iter().map(expectation).collect::<Vec<_>>(),
        "table": { "columns": data.columns, "rows": data.rows.iter().map(row).collect::<Vec<_>>() },
        "settings": settings.collect::<Map<_, _>>(),
        "provenance": data.provenance,
    })
}

fn expectation((stage, verdict): &(String, Verdict)) -> Value {
    let expected = &verdict.expected;
    value!({
        "stage": stage,
        "metric": expected.metric,
        "at_most": expected.at_most,
        "at_least": expected.at_least,
        "within": expected.within,
        "baseline": expected.baseline,
        "tolerance": expected.tolerance,
        "compared": verdict.compared,
        "value": verdict.value,
        "pass": verdict.pass,
        "source": expected.source,
    })
}

fn row(row: &MeasuredRow) -> Value {
    let MeasuredRow { asked, nfe, measured, folder } = row;
    value!({
        "label": asked.label,
        "stage": asked.scores.as_ref().map(|scores| &scores.stage),
        "pipeline": asked.scores.as_ref().and_then(|scores| scores.pipeline.as_ref()),
        "has_run": !row.is_missing(),
        "folder": folder,
        "nfe": nfe,
        "measured": measured,
        "published": asked.published,
    })
}
