//! Which points of a search go on from one rung to the next.

use super::sweep_spec::Halving;

impl Halving {
    /// Of `ranking`, the best first, those that go on; `live` is how many were at the rung, with those that could not be
    /// ranked because they failed.
    pub fn survivors<T: Clone>(&self, ranking: &[T], live: usize) -> Vec<T> {
        // A half of 4 is 2, whatever binary fractions make of the share.
        let kept = (self.keep * live as f64 - 1e-9).ceil().max(1.0) as usize;
        ranking.iter().take(kept).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kimg::Kimg;

    #[test]
    fn the_better_share_goes_on_and_at_least_one() {
        let halving = |keep| Halving { keep, rungs_kimg: vec![Kimg(1.0)] };
        assert_eq!(halving(0.5).survivors(&["a", "b", "c", "d"], 4), ["a", "b"]);
        assert_eq!(halving(0.5).survivors(&["a", "b", "c"], 3), ["a", "b"]);
        assert_eq!(halving(0.1).survivors(&["a", "b", "c"], 10), ["a"]);
        assert_eq!(halving(0.1).survivors(&["a"], 1), ["a"]);
        // Those that failed were in the race: they do not make room for more of the others.
        assert_eq!(halving(0.5).survivors(&["a", "b", "c"], 4), ["a", "b"]);
        assert!(halving(0.5).survivors::<u8>(&[], 4).is_empty());
        let third = Halving { keep: 1.0 / 3.0, rungs_kimg: Vec::new() };
        assert_eq!(third.survivors(&[1, 2, 3, 4, 5, 6, 7, 8, 9], 9), [1, 2, 3]);
    }
}
