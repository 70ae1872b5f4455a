//! The order in which stages run.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::spec::Pipeline;
use crate::{Error, Result, stage_name::StageName, stages::Input};

/// The fields in which a stage names others, with their places in the plan.
pub(super) type Fields = Vec<(String, usize)>;

/// Running order: the order of the file, with inputs first. With each stage, the fields and places of its inputs.
pub(super) fn order(pipeline: &Pipeline) -> Result<IndexMap<StageName, Fields>> {
    let stages = &pipeline.stages;
    let inputs: Vec<Vec<Input<'_>>> = stages.values().map(|spec| spec.stage().inputs()).collect();
    // How many inputs each stage waits for, and who waits for it.
    let mut waits: Vec<usize> = inputs.iter().map(Vec::len).collect();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); stages.len()];
    for (reader, inputs) in inputs.iter().enumerate() {
        for stage in inputs.iter().filter_map(|input| stages.get_index_of(input.stage)) {
            readers[stage].push(reader);
        }
    }
    // Of the stages that wait for nothing the first of the file comes next.
    let mut ready: BTreeSet<usize> = (0..stages.len()).filter(|stage| waits[*stage] == 0).collect();
    let mut placed: IndexMap<StageName, Fields> = IndexMap::new();
    while let Some(stage) = ready.pop_first() {
        let place = |input: &Input<'_>| Some((input.field.clone(), placed.get_index_of(input.stage)?));
        let fields = inputs[stage].iter().filter_map(place).collect();
        placed.extend(stages.get_index(stage).map(|(name, _)| (name.clone(), fields)));
        for reader in &readers[stage] {
            waits[*reader] -= 1;
            if waits[*reader] == 0 {
                ready.insert(*reader);
            }
        }
    }
    if placed.len() < stages.len() {
        return Err(Error::Usage("stages wait for each other, or for one that does not exist".to_owned()));
    }
    Ok(placed)
}

/// The names of the stages that a stage reads, directly or through others, and its own, in running order; `None` where it
/// does not exist, and where stages wait for each other.
pub(super) fn read_by(pipeline: &Pipeline, stage: &str) -> Option<Vec<StageName>> {
    let order = order(pipeline).ok()?;
    let place = order.keys().position(|name| name.as_str() == stage)?;
    let inputs = |i: usize| order[i].iter().map(|(_, input)| *input).collect::<Vec<_>>();
    let wanted = reads(place, order.len(), inputs);
    Some(order.into_keys().zip(wanted).filter_map(|(name, wanted)| wanted.then_some(name)).collect())
}

/// Which of `count` stages a stage reads, directly or through others, and itself. `inputs` are a stage's own, which come
/// before it.
pub(super) fn reads<I: IntoIterator<Item = usize>>(
    stage: usize,
    count: usize,
    inputs: impl Fn(usize) -> I,
) -> Vec<bool> {
    let mut wanted = vec![false; count];
    wanted[stage] = true;
    for i in (0..=stage).rev() {
        if wanted[i] {
            inputs(i).into_iter().for_each(|input| wanted[input] = true);
        }
    }
    wanted
}
