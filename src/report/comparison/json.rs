//! The comparison for programs. A value that is not finite is `null`.

use serde_json::{Map, Value, json as value};

use super::{
    Comparison,
    pairs::Pair,
    scores::ScorePair,
    side::{ComparedStage, Side},
};
use crate::metrics::Score;

/// `a` and `b`: who is who; `same`; `scores.<stage>.<metric>`, `settings`, `only_in_a`, `only_in_b`, `pictures`,
/// `wall_time`.
pub fn json(comparison: &Comparison<'_>) -> Value {
    let scores = comparison.scores.iter().map(|pair| (pair.name.clone(), score_pair(pair)));
    let settings = comparison.settings.iter().map(|pair| {
        let [a, b] = &pair.of;
        (pair.path.clone(), value!({ "a": a, "b": b }))
    });
    let only = |side| -> Vec<Value> {
        comparison.only(side).map(|(name, stage)| value!({ "stage": name, "verb": stage.verb })).collect()
    };
    let pictures = comparison.pairs.iter().filter_map(|pair| Some((pair.title(), picture(pair)?)));
    let times =
        comparison.wall_times().into_iter().map(|(stage, [a, b])| (stage, value!({ "a": a, "b": b })));
    value!({
        "a": side(comparison.a),
        "b": side(comparison.b),
        "same": comparison.is_same(),
        "scores": scores.collect::<Map<_, _>>(),
        "settings": settings.collect::<Map<_, _>>(),
        "only_in_a": only(0),
        "only_in_b": only(1),
        "pictures": pictures.collect::<Map<_, _>>(),
        "wall_time": times.collect::<Map<_, _>>(),
    })
}

fn side(side: &Side) -> Value {
    let identity = &side.identity;
    let stage = |(name, stage): (&String, &ComparedStage)| {
        (name.clone(), value!({ "verb": stage.verb, "key": stage.key, "seconds": stage.seconds }))
    };
    value!({
        "path": identity.path,
        "what": identity.what,
        "seed": identity.seed,
        "date": identity.date,
        "device": identity.device,
        "commit": identity.commit,
        "key": identity.key,
        "stages": side.stages.iter().map(stage).collect::<Map<_, _>>(),
    })
}

fn score_pair(pair: &ScorePair<'_>) -> Value {
    let score = |score: &Score| value!({ "mean": score.mean, "std": score.std, "spread": score.spread(), "trials": score.trials });
    let [a, b] = pair.of.map(|of| of.map(score));
    let difference = pair.difference();
    value!({
        "a": a,
        "b": b,
        "difference": difference.map(|difference| difference.value),
        "change_percent": pair.change(),
        "spread": difference.and_then(|difference| difference.spread),
        "beyond_spread": difference.and_then(|difference| difference.is_beyond_spread()),
        "better": pair.better().map(|side| ["a", "b"][side]),
    })
}

/// The files' names, and whether both hold the same images; `None` where there are none.
fn picture(pair: &Pair<'_>) -> Option<Value> {
    let same = pair.same_picture()?;
    let [a, b] = pair.of.map(|stage| Some(&stage?.1.picture.as_ref()?.name));
    Some(value!({ "a": a, "b": b, "same": (a.is_some() && b.is_some()).then_some(same) }))
}
