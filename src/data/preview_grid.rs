//! `PreviewGrid`: which samples fill the picture of real images that training shows.

use std::collections::BTreeMap;

use crate::rng::NumpyRandomState;

/// EDM2's loop looks at no more samples than this.
const EDM2_SAMPLES: usize = 2000;

/// The choice of samples for a preview picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewGrid {
    /// Images side by side.
    pub columns: usize,
    /// Images one above the other.
    pub rows: usize,
    /// Numbers of samples, row by row.
    pub indices: Vec<usize>,
}

impl PreviewGrid {
    /// As EDM's loop and those of SiD and SiDA choose: 7 to 32 columns, 4 to 32 rows, an 8K picture at most.
    pub fn edm(width: usize, height: usize, samples: usize, classes: Option<&[u32]>, seed: u32) -> Self {
        let columns = (7680 / width.max(1)).clamp(7, 32);
        let rows = (4320 / height.max(1)).clamp(4, 32);
        Self::choose(columns, rows, samples, classes, seed)
    }

    /// As EDM2's loop chooses: 4 by 4, with labels from the first 2000 samples only.
    pub fn edm2(samples: usize, classes: Option<&[u32]>, seed: u32) -> Self {
        let classes = classes.map(|classes| &classes[..classes.len().min(EDM2_SAMPLES)]);
        Self::choose(4, 4, samples, classes, seed)
    }

    /// Without labels a shuffle, again and again; with labels a row for each class in turn.
    pub fn choose(columns: usize, rows: usize, samples: usize, classes: Option<&[u32]>, seed: u32) -> Self {
        let mut rng = NumpyRandomState::new(seed);
        let Some(classes) = classes.filter(|classes| !classes.is_empty()) else {
            let mut all: Vec<usize> = (0..samples).collect();
            rng.shuffle(&mut all);
            let indices = all.iter().copied().cycle().take(columns * rows).collect();
            return Self { columns, rows, indices };
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
        Self { columns, rows, indices }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_show_one_class_each_and_go_on_where_they_stopped() {
        let classes: Vec<u32> = (0..20).map(|i| i % 2).collect();
        let grid = PreviewGrid::choose(4, 4, 20, Some(&classes), 0);
        for (row, indices) in grid.indices.chunks(4).enumerate() {
            assert!(indices.iter().all(|i| i % 2 == row % 2));
        }
        assert!(grid.indices[..4].iter().all(|i| !grid.indices[8..12].contains(i)));
    }

    #[test]
    fn sizes_follow_the_pixels() {
        let size = |grid: PreviewGrid| (grid.columns, grid.rows);
        assert_eq!(size(PreviewGrid::edm(8, 8, 3, None, 0)), (32, 32));
        assert_eq!(size(PreviewGrid::edm(512, 512, 3, None, 0)), (15, 8));
        assert_eq!(size(PreviewGrid::edm(4096, 4096, 3, None, 0)), (7, 4));
        assert_eq!(size(PreviewGrid::edm2(3, None, 0)), (4, 4));
        assert!(PreviewGrid::edm(8, 8, 0, None, 0).indices.is_empty());
    }
}
