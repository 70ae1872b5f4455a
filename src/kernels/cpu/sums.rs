//! Sums of all of something: in f64, so that they are right to the last bit of f32 however long, and in an order that neither
//! threads nor the instruction set change.

/// Sums side by side: what a compiler makes vectors of.
const LANES: usize = 8;

/// The sum of f of every index below `len`.
#[inline]
fn summed(len: usize, f: impl Fn(usize) -> f32) -> f64 {
    let mut lanes = [0.0; LANES];
    let whole = len / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane += f64::from(f(start + i));
        }
    }
    lanes.iter().sum::<f64>() + (whole..len).map(|i| f64::from(f(i))).sum::<f64>()
}

/// The sum.
pub fn sum(x: &[f32]) -> f64 {
    summed(x.len(), |i| x[i])
}

/// The sum of distances.
///
/// # Panics
/// If there are not as many of both.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    summed(a.len(), |i| (a[i] - b[i]).abs())
}
