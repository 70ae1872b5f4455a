//! Which samples fill the picture of real images that a prepared dataset shows.

use std::collections::BTreeMap;

use crate::rng::NumpyRandomState;

/// Numbers of samples for a grid, row by row, as the reference's loops choose them: without classes a shuffle, again
/// and again; with the class of each sample a row for each class in turn.
pub fn preview_samples(
    [rows, columns]: [usize; 2],
    samples: usize,
    classes: Option<&[u32]>,
    seed: u32,
) -> Vec<usize> {
    let mut rng = NumpyRandomState::new(seed);
    let Some(classes) = classes.filter(|classes| !classes.is_empty()) else {
        let mut all: Vec<usize> = (0..samples).collect();
        rng.shuffle(&mut all);
        return all.iter().copied().cycle().take(columns * rows).collect();
    };
    let mut by_class: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (sample, &class) in classes.iter().enumerate() {
        by_class.entry(class).or_default().push(sample);
    }
    let mut groups: Vec<Vec<usize>> = by_class.into_values().collect();
    groups.iter_mut().for_each(|group| rng.shuffle(group));
    let mut indices = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        let count = groups.len();
        let group = &mut groups[row % count];
        indices.extend(group.iter().copied().cycle().take(columns));
        let shown = columns % group.len();
        group.rotate_left(shown);
    }
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_show_one_class_each_and_go_on_where_they_stopped() {
        let classes: Vec<u32> = (0..20).map(|i| i % 2).collect();
        let chosen = preview_samples([4, 4], 20, Some(&classes), 0);
        for (row, samples) in chosen.chunks(4).enumerate() {
            assert!(samples.iter().all(|i| i % 2 == row % 2));
        }
        assert!(chosen[..4].iter().all(|i| !chosen[8..12].contains(i)));
        assert!(preview_samples([4, 4], 0, None, 0).is_empty());
    }
}
