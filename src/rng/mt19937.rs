//! `Mt19937`: the Mersenne Twister that torch's CPU generator and numpy's `RandomState` share.

const N: usize = 624;
const M: usize = 397;

/// MT19937 (Matsumoto and Nishimura, 1998), seeded by `init_genrand`.
#[derive(Clone)]
pub(super) struct Mt19937 {
    state: [u32; N],
    next: usize,
}

impl Mt19937 {
    /// The generator after `init_genrand(seed)`.
    pub(super) fn new(seed: u32) -> Self {
        let mut state = [seed; N];
        for i in 1..N {
            let last = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: N }
    }

    /// The next word.
    pub(super) fn next_u32(&mut self) -> u32 {
        if self.next == N {
            self.refill();
        }
        let word = self.state[self.next];
        self.next += 1;
        let word = word ^ (word >> 11);
        let word = word ^ ((word << 7) & 0x9d2c_5680);
        let word = word ^ ((word << 15) & 0xefc6_0000);
        word ^ (word >> 18)
    }

    /// Two words, the first one in the high half.
    pub(super) fn next_u64(&mut self) -> u64 {
        let high = u64::from(self.next_u32());
        high << 32 | u64::from(self.next_u32())
    }

    fn refill(&mut self) {
        for i in 0..N {
            let mixed = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let twist = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (mixed >> 1) ^ twist;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ten_thousandth_word_is_the_standards() {
        // ISO C++ [rand.predef]: the 10000th value of a default-constructed mt19937.
        let mut words = Mt19937::new(5489);
        let last = (0..10_000).map(|_| words.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }
}
