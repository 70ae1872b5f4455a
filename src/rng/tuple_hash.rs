//! `tuple_hash`: `CPython`'s hash of a tuple of integers, from which EDM2's sampler takes its epoch seeds.

const P1: u64 = 11_400_714_785_074_694_791;
const P2: u64 = 14_029_467_366_897_019_727;
const P5: u64 = 2_870_177_450_012_600_261;
/// Integers are hashed modulo this Mersenne prime.
const MODULUS: u64 = (1 << 61) - 1;

/// `hash(tuple)` of 64-bit `CPython` 3.8 and later.
pub fn tuple_hash(items: &[i64]) -> i64 {
    let mix = |acc: u64, item: &i64| {
        acc.wrapping_add(lane(*item).wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
    };
    let acc = items.iter().fold(P5, mix).wrapping_add(items.len() as u64 ^ (P5 ^ 0x35_D373));
    // The result -1 is CPython's word for an error.
    if acc == u64::MAX { 1_546_275_796 } else { acc as i64 }
}

/// `hash(int)`: the value modulo 2^61-1 with the sign kept, and -2 for -1.
fn lane(item: i64) -> u64 {
    let size = (item.unsigned_abs() % MODULUS) as i64;
    let signed = if item < 0 { -size } else { size };
    (if signed == -1 { -2 } else { signed }) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_cpython() {
        // hash((0, 0)), hash((1, 2)), hash(()), hash((-1,)), hash((2**61 - 1, -2**63)) in CPython 3.
        assert_eq!(tuple_hash(&[0, 0]), HASHES[0]);
        assert_eq!(tuple_hash(&[1, 2]), HASHES[1]);
        assert_eq!(tuple_hash(&[]), HASHES[2]);
        assert_eq!(tuple_hash(&[-1]), HASHES[3]);
        assert_eq!(tuple_hash(&[(1 << 61) - 1, i64::MIN]), HASHES[4]);
    }
    const HASHES: [i64; 5] = [
        -8_458_139_203_682_520_985,
        -3_550_055_125_485_641_917,
        5_740_354_900_026_072_187,
        8_078_679_518_589_016_365,
        -7_288_915_274_956_756_975,
    ];
}
