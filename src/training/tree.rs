//! `Tree`: sums whose order depends on the number of what is summed alone, not on who summed which part of it.

/// So many runs of leaves are summed one after another, before they are summed with each other: more would hold more sums.
const RUNS: usize = 8;

/// The sum of a known number of leaves in a fixed order: runs of leaves one after another, an eighth of all in each, and
/// those in the order of a binary tree over their numbers, ((0+1)+(2+3))+..., of which only one sum per level is held, as
/// in a binary counter. Whoever sums a half, a quarter or an eighth of the leaves, from a multiple of that, has one of the
/// tree's own sums: to add up such shares by a tree over them is the same, bit for bit.
#[derive(Debug)]
pub struct Tree<S> {
    /// Leaves of a run.
    run: usize,
    /// The run that is not complete, and its leaves so far.
    current: Option<(S, usize)>,
    /// Of 2^level runs each, the lowest level first.
    levels: Vec<Option<S>>,
}

impl<S> Tree<S> {
    /// Of so many leaves in all, whoever sums how many of them.
    pub fn of(leaves: usize) -> Self {
        // Two leaves are the same sum either way, and one after another they need one sum less.
        let run = (leaves.next_power_of_two() / RUNS).max(2);
        Self { run, current: None, levels: Vec::new() }
    }

    /// The most sums that it holds at once, with that of the leaf that comes, where it is given one of so many equal shares
    /// of the leaves.
    pub fn sums(leaves: usize, shares: usize) -> usize {
        let runs = leaves.div_ceil(shares.max(1)).div_ceil(Self::of(leaves).run).max(1);
        // The leaf, the sum of its run, and one per level below the highest.
        2 + runs.ilog2() as usize
    }

    /// Whether so many equal shares of the leaves are sums of the tree's own: whoever adds them up by a tree over the
    /// shares comes to the same bits.
    pub fn splits_into(leaves: usize, shares: usize) -> bool {
        let share = leaves / shares.max(1);
        let run = Self::of(leaves).run;
        // Two leaves are a run, and a pair of the tree.
        shares <= 1 || (share * shares == leaves && share.is_power_of_two() && (share >= run || run == 2))
    }

    /// Adds the next leaf: `leaf` makes a sum of it, or adds it to that of the leaf before; `add` adds the sum of later
    /// leaves to that of earlier ones.
    pub fn push(&mut self, leaf: impl FnOnce(Option<S>) -> S, add: impl Fn(S, S) -> S) {
        let (before, count) = self.current.take().map_or((None, 0), |(sum, count)| (Some(sum), count));
        let mut sum = leaf(before);
        if count + 1 < self.run {
            self.current = Some((sum, count + 1));
            return;
        }
        let mut level = 0;
        while let Some(earlier) = self.levels.get_mut(level).and_then(Option::take) {
            sum = add(earlier, sum);
            level += 1;
        }
        self.levels.resize_with(self.levels.len().max(level + 1), || None);
        self.levels[level] = Some(sum);
    }

    /// The sum of all leaves, if there are any.
    pub fn total(self, add: impl Fn(S, S) -> S) -> Option<S> {
        let current = self.current.map(|(sum, _)| sum);
        current
            .into_iter()
            .chain(self.levels.into_iter().flatten())
            .reduce(|later, earlier| add(earlier, later))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sum of numbers that do not add up to the same in every order; of so many leaves in all.
    fn sum(leaves: &[f32], all: usize) -> Option<f32> {
        let add = |a: f32, b: f32| a + b;
        let mut tree = Tree::of(all);
        for leaf in leaves {
            tree.push(|before| before.map_or(*leaf, |before| before + leaf), add);
        }
        tree.total(add)
    }

    #[test]
    fn it_is_a_tree_over_numbers() {
        let [a, b, c, d, e, f, g] = [1.0f32, 1e8, -1e8, 1.0, 0.1, 0.2, 0.3];
        let by_hand = (((a + b) + (c + d)) + ((e + f) + g)).to_bits();
        assert_eq!(sum(&[a, b, c, d, e, f, g], 7).map(f32::to_bits), Some(by_hand));
        assert_ne!(by_hand, (a + b + c + d + e + f + g).to_bits(), "an order shows in these numbers");
        assert_eq!(sum(&[], 0), None);
    }

    #[test]
    fn it_never_holds_more_sums_than_it_says() {
        let shared = (1..70).flat_map(|leaves| (1..=leaves).map(move |shares| (leaves, shares)));
        for (leaves, shares) in shared.filter(|(leaves, shares)| leaves % shares == 0) {
            let mut tree = Tree::of(leaves);
            let mut most = 0;
            for _ in 0..leaves / shares {
                let waiting = usize::from(tree.current.is_some()) + tree.levels.iter().flatten().count();
                // The gradients of the micro-batch, the sums that wait, and a new sum where none is open.
                most = most.max(1 + waiting + usize::from(tree.current.is_none()));
                tree.push(|_| (), |(), ()| ());
            }
            assert!(
                most <= Tree::<()>::sums(leaves, shares),
                "{leaves} leaves in {shares} shares: {most} sums"
            );
        }
    }

    /// All that the documentation of `splits_into` says, by trying it.
    #[test]
    fn it_knows_which_shares_are_its_own_sums() {
        for leaves in 1..=64 {
            for shares in (1..=leaves).filter(|shares| leaves % shares == 0) {
                let equal = (0..20).all(|seed| {
                    let value =
                        |i: usize| ((i + 64 * seed) as f32 * 0.37).sin() * 10f32.powi((i * 7 % 9) as i32 - 4);
                    let all: Vec<f32> = (0..leaves).map(value).collect();
                    let parts = all.chunks(leaves / shares).map(|share| sum(share, leaves).unwrap());
                    let mut level: Vec<f32> = parts.collect();
                    while level.len() > 1 {
                        level = level
                            .chunks(2)
                            .map(|pair| pair.iter().copied().reduce(|a, b| a + b).unwrap())
                            .collect();
                    }
                    Some(level[0].to_bits()) == sum(&all, leaves).map(f32::to_bits)
                });
                assert_eq!(Tree::<f32>::splits_into(leaves, shares), equal, "{shares} shares of {leaves}");
            }
        }
    }

    proptest! {
        #[test]
        fn shares_add_up_to_the_same_bits(
            leaves in prop::collection::vec(-1e3f32..1e3, 1..9).prop_flat_map(|eighth| {
                let len = eighth.len().next_power_of_two() * 8;
                prop::collection::vec(-1e3f32..1e3, len)
            }),
            power in 0u32..4,
        ) {
            let shares = 1 << power;
            let of_shares: Option<Vec<f32>> =
                leaves.chunks(leaves.len() / shares).map(|share| sum(share, leaves.len())).collect();
            let of_shares = of_shares.unwrap();
            // A tree over the shares.
            let mut level = of_shares;
            while level.len() > 1 {
                level = level.chunks(2).map(|pair| pair[0] + pair[1]).collect();
            }
            prop_assert_eq!(Some(level[0].to_bits()), sum(&leaves, leaves.len()).map(f32::to_bits));
        }
    }
}
