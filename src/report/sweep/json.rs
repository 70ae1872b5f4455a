//! `sweep.json`: the same for programs. A value that is not finite is `null`.

use serde_json::{Value, json as value};

use super::{
    best::Best,
    cells::Cell,
    data::{MeasuredPoint, PointEnd, SweepData},
};

/// `points` with their settings, ends, scores and expectations; `cells`, in which repetitions are taken together; `best`.
pub fn json(data: &SweepData) -> Value {
    let cells = data.cells();
    let axis = |axis: &super::data::SweepAxis| value!({ "name": axis.name, "values": axis.values, "repetition": axis.is_repetition });
    let best = Best::of(data, &cells).map(|best| {
        let labels = best.rivals.iter().map(|i| &cells[*i].label).collect::<Vec<_>>();
        value!({
            "label": cells[best.cell].label,
            "score": cells[best.cell].score,
            "spread_is_known": best.is_known,
            "cannot_be_told_from": labels,
        })
    });
    value!({
        "sweep": data.sweep,
        "description": data.description,
        "axes": data.axes.iter().map(axis).collect::<Vec<_>>(),
        "cell": data.cell.as_ref().map(|(stage, metric)| value!({ "stage": stage, "metric": metric })),
        "rungs_kimg": data.rungs_kimg,
        "points": data.points.iter().enumerate().map(|(i, of)| point(data, i, of)).collect::<Vec<_>>(),
        "cells": cells.iter().map(cell).collect::<Vec<_>>(),
        "best": best,
        "provenance": data.provenance,
    })
}

fn point(data: &SweepData, i: usize, point: &MeasuredPoint) -> Value {
    let expectations = point.expectations.iter().map(|(stage, verdict)| {
        let mut written = value!(verdict);
        written["stage"] = value!(stage);
        written
    });
    let stopped = match point.end {
        PointEnd::Stopped(rung) => Some(data.rungs_kimg[rung]),
        _ => None,
    };
    value!({
        "number": i + 1,
        "label": point.label,
        "at": point.settings,
        "end": point.end.as_str(),
        "message": point.end.message(),
        "stopped_at_kimg": stopped,
        "weights_kimg": point.weights_kimg,
        "rungs": point.rungs,
        "scores": point.scores,
        "expectations": expectations.collect::<Vec<_>>(),
        "folder": point.folder,
        "page": point.page,
    })
}

fn cell(cell: &Cell) -> Value {
    let points: Vec<usize> = cell.points.iter().map(|i| i + 1).collect();
    value!({ "label": cell.label, "points": points, "score": cell.score, "note": cell.note, "ranked": cell.ranks })
}
