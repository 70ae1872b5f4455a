//! The snapshots of a training in a report: what its generator made, moment after moment.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    artifact::{Artifact, NetworkArtifact},
    context::{Context, Finished},
    picture, report_curves, stats_jsonl,
};
use crate::{
    kimg::Kimg,
    location::way,
    metrics::{Better, Metric},
    report::Snapshot,
};

/// So many tell how a training went, and a page stays small.
const MOST: usize = 12;

/// The snapshots to be shown of a finished stage, and how many there are. None where its training left no more pictures than
/// the one of the weights that it hands on, which is shown as it is.
pub(super) fn of(finished: &Finished, context: &Context<'_>) -> (Vec<Snapshot>, usize) {
    let Artifact::Network(artifact) = &finished.artifact else { return (Vec::new(), 0) };
    let moments = picture::moments(&finished.dir);
    if moments.len() < 2 {
        return (Vec::new(), 0);
    }
    let measured = measured(&stats_jsonl::read(&finished.dir.join(report_curves::FILES[1])));
    let best = best(&measured);
    let shown = chosen(&moments, [best, Some(artifact.nimg)].into_iter().flatten());
    let of = |nimg: u64| {
        let value = measured.iter().find(|(at, ..)| *at == nimg);
        let value = value.map(|(_, name, value)| (name.clone(), *value));
        snapshot(nimg, artifact, finished, context).map(|snapshot| Snapshot {
            measured: value,
            is_best: best == Some(nimg),
            ..snapshot
        })
    };
    (shown.into_iter().filter_map(of).collect(), moments.len())
}

fn snapshot(
    nimg: u64,
    artifact: &NetworkArtifact,
    finished: &Finished,
    context: &Context<'_>,
) -> Option<Snapshot> {
    let path = picture::of_training(&finished.dir, nimg);
    let png = picture::first_images(&path, artifact)?.to_png();
    let path = way(context.home, &context.linked(&finished.dir).join(path.file_name()?));
    Some(Snapshot {
        kimg: Kimg::from_nimg(nimg).0,
        png,
        path: path.map(|path| path.display().to_string()),
        is_handed_on: nimg == artifact.nimg,
        ..Snapshot::default()
    })
}

/// The value of the first metric of each snapshot, by its images.
fn measured(lines: &[Map<String, Value>]) -> Vec<(u64, String, f64)> {
    let of = |line: &Map<String, Value>| {
        let nimg = line.get("nimg")?.as_f64()?;
        let (name, value) = line.iter().find(|(name, _)| !["nimg", "kimg"].contains(&name.as_str()))?;
        Some((nimg as u64, name.clone(), value.as_f64().filter(|value| value.is_finite())?))
    };
    lines.iter().filter_map(of).collect()
}

/// The first of the best; `None` where nobody knows which end is good.
fn best(measured: &[(u64, String, f64)]) -> Option<u64> {
    let better = Metric::column(&measured.first()?.1)?.better?;
    let is_better = |value: f64, than: f64| match better {
        Better::Lower => value < than,
        Better::Higher => value > than,
    };
    let best = measured.iter().reduce(|best, next| if is_better(next.2, best.2) { next } else { best });
    best.map(|(nimg, ..)| *nimg)
}

/// At most `MOST` moments, evenly among all, the first and the last and those that matter with them.
fn chosen(moments: &[u64], matter: impl Iterator<Item = u64>) -> BTreeSet<u64> {
    if moments.len() <= MOST {
        return moments.iter().copied().collect();
    }
    let last = moments.len() - 1;
    let mut chosen: BTreeSet<u64> = matter.filter(|nimg| moments.contains(nimg)).collect();
    let even = MOST - chosen.len();
    chosen.extend((0..even).map(|i| moments[i * last / (even - 1)]));
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_training_is_shown_from_its_beginning_to_its_end_with_what_matters() {
        let moments: Vec<u64> = (0..100).map(|i| i * 1000).collect();
        let shown = chosen(&moments, [37_000, 98_000, 5].into_iter());
        assert!(shown.len() <= MOST && shown.len() >= MOST - 2, "{shown:?}");
        assert!([0, 37_000, 98_000, 99_000].iter().all(|nimg| shown.contains(nimg)), "{shown:?}");
        for few in 2..=MOST {
            let moments = &moments[..few];
            let shown: Vec<u64> = chosen(moments, [1000].into_iter()).into_iter().collect();
            assert_eq!(shown, moments);
        }
    }

    #[test]
    fn the_best_is_the_first_of_the_best_by_the_first_metric() {
        let of = |name: &str, values: &[Option<f64>]| {
            let line = |(i, value): (usize, &Option<f64>)| {
                let line = serde_json::json!({ "nimg": i as f64 * 64.0, "kimg": 0.0, (name): value, "z": i });
                line.as_object().cloned().unwrap()
            };
            best(&measured(&values.iter().enumerate().map(line).collect::<Vec<_>>()))
        };
        let values = [Some(3.0), None, Some(1.0), Some(1.0), Some(2.0)];
        assert_eq!(of("fd_pixels_100", &values), Some(128));
        assert_eq!(of("is_100", &values), Some(0));
        assert_eq!([of("something", &values), of("is_100_std", &values)], [None; 2], "no end is good");
        assert_eq!(of("fd_pixels_100", &[None]), None);
    }
}
