//! `report.json`: the same for programs. A value that is not finite is `null`.

use serde_json::{Map, Value, json as value};

use super::data::{Expectation, ReportData, Row, Score};

/// `pipeline`, `verdict`, `scores.<stage>.<metric>`, `expectations`, and the table, settings and provenance.
pub fn json(data: &ReportData) -> Value {
    let scores: Map<String, Value> = data
        .scores
        .iter()
        .map(|(stage, metrics)| {
            let metrics: Map<String, Value> =
                metrics.iter().map(|(name, s)| (name.clone(), score(s))).collect();
            (stage.clone(), Value::Object(metrics))
        })
        .collect();
    value!({
        "pipeline": data.pipeline,
        "verdict": data.verdict().as_str(),
        "caption": data.caption,
        "description": data.description,
        "scores": scores,
        "expectations": data.expectations.iter().map(expectation).collect::<Vec<_>>(),
        "table": { "columns": data.columns, "rows": data.rows.iter().map(row).collect::<Vec<_>>() },
        "settings": data.settings.iter().map(|s| (s.stage.clone(), value!({ s.verb.clone(): s.values }))).collect::<Map<_, _>>(),
        "provenance": data.provenance,
    })
}

fn score(score: &Score) -> Value {
    value!({ "mean": score.mean, "std": score.std, "min": score.min, "trials": score.trials })
}

fn expectation(e: &Expectation) -> Value {
    let mut object = Map::new();
    object.insert("stage".into(), value!(e.stage));
    object.insert("metric".into(), value!(e.metric));
    object.insert("at_most".into(), value!(e.at_most));
    if e.at_least.is_some() {
        object.insert("at_least".into(), value!(e.at_least));
    }
    object.insert("value".into(), value!(e.value));
    object.insert("pass".into(), value!(e.pass));
    object.insert("source".into(), value!(e.source));
    Value::Object(object)
}

fn row(row: &Row) -> Value {
    value!({
        "label": row.label,
        "stage": row.stage,
        "pipeline": row.pipeline,
        "nfe": row.nfe,
        "measured": row.measured.iter().map(|(name, s)| (name.clone(), score(s))).collect::<Map<_, _>>(),
        "published": row.published,
    })
}
