//! `Philox`: the counter-based generator behind our own draws, and behind torch's on CUDA.

/// Philox4x32-10 (Salmon et al., 2011): four words per counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Philox {
    pub(super) key: [u32; 2],
}

impl Philox {
    /// The generator whose key is `seed`.
    pub fn new(seed: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32] }
    }

    /// The words of the counter whose lower half is `low` and whose upper half is `high`. To torch these are the position
    /// of a thread (a quarter of its offset) and the thread's number.
    #[inline(always)]
    pub fn words(&self, low: u64, high: u64) -> [u32; 4] {
        let mut c = [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32];
        let mut key = self.key;
        for _ in 0..10 {
            let a = 0xD251_1F53 * u64::from(c[0]);
            let b = 0xCD9E_8D57 * u64::from(c[2]);
            c = [(b >> 32) as u32 ^ c[1] ^ key[0], b as u32, (a >> 32) as u32 ^ c[3] ^ key[1], a as u32];
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        c
    }

    /// The two words of the key.
    pub fn key(&self) -> [u32; 2] {
        self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_published_vectors() {
        // Random123's kat_vectors, philox4x32 with 10 rounds.
        assert_eq!(Philox::new(0).words(0, 0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            Philox::new(u64::MAX).words(u64::MAX, u64::MAX),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            Philox::new(0x299f_31d0_a409_3822).words(0x85a3_08d3_243f_6a88, 0x0370_7344_1319_8a2e),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
