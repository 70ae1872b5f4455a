//! `Tree`: sums whose order depends on the number of what is summed alone, not on who summed which part of it.

/// The sum of leaves in the order of a binary tree over their numbers, ((0+1)+(2+3))+..., of which only one sum per level
/// is held, as in a binary counter. Whoever sums a run of leaves that begins at a multiple of its length, a power of two,
/// has one of the tree's own sums: to add up such runs by a tree over them is the same, bit for bit.
#[derive(Debug)]
pub struct Tree<S> {
    /// Of 2^level leaves each, the lowest level first.
    levels: Vec<Option<S>>,
}

impl<S> Default for Tree<S> {
    fn default() -> Self {
        Self { levels: Vec::new() }
    }
}

impl<S> Tree<S> {
    /// Adds the next leaf: `leaf` makes a sum of it, or adds it to that of the leaf before; `add` adds the sum of later
    /// leaves to that of earlier ones.
    pub fn push(&mut self, leaf: impl FnOnce(Option<S>) -> S, add: impl Fn(S, S) -> S) {
        let mut take = |level: usize| self.levels.get_mut(level).and_then(Option::take);
        let before = take(0);
        let mut level = usize::from(before.is_some());
        let mut sum = leaf(before);
        while let Some(earlier) = take(level) {
            sum = add(earlier, sum);
            level += 1;
        }
        self.levels.resize_with(self.levels.len().max(level + 1), || None);
        self.levels[level] = Some(sum);
    }

    /// The sum of all leaves, if there are any.
    pub fn total(self, add: impl Fn(S, S) -> S) -> Option<S> {
        self.levels.into_iter().flatten().reduce(|later, earlier| add(earlier, later))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sum of numbers that do not add up to the same in every order.
    fn sum(leaves: &[f32]) -> Option<f32> {
        let add = |a: f32, b: f32| a + b;
        let mut tree = Tree::default();
        for leaf in leaves {
            tree.push(|before| before.map_or(*leaf, |before| before + leaf), add);
        }
        tree.total(add)
    }

    #[test]
    fn it_is_a_tree_over_numbers() {
        let [a, b, c, d, e, f, g] = [1.0f32, 1e8, -1e8, 1.0, 0.1, 0.2, 0.3];
        let by_hand = (((a + b) + (c + d)) + ((e + f) + g)).to_bits();
        assert_eq!(sum(&[a, b, c, d, e, f, g]).map(f32::to_bits), Some(by_hand));
        assert_ne!(by_hand, (a + b + c + d + e + f + g).to_bits(), "an order shows in these numbers");
        assert_eq!(sum(&[]), None);
    }

    proptest! {
        #[test]
        fn runs_of_a_power_of_two_add_up_to_the_same_bits(
            leaves in prop::collection::vec(-1e3f32..1e3, 1..70),
            power in 0u32..6,
        ) {
            let runs: Option<Vec<f32>> = leaves.chunks(1 << power).map(sum).collect();
            let all = sum(&leaves).map(f32::to_bits);
            prop_assert_eq!(sum(&runs.unwrap()).map(f32::to_bits), all);
        }
    }
}
