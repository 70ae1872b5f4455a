//! `TorchCuda`: torch's CUDA generator, computed on the host.
//!
//! Which thread draws which element depends on how many threads a GPU holds, so large draws differ between
//! GPU models; draws of one image up to 64x64x4 do not.

use std::f64::consts::PI;

use super::Philox;

/// Threads of a block of torch's random kernels.
const BLOCK: u64 = 256;

/// What the stream depends on in a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Streaming multiprocessors.
    pub multiprocessors: u64,
    /// The most threads that one of them holds.
    pub threads_per_multiprocessor: u64,
}

impl Gpu {
    /// A100.
    pub const A100: Self = Self { multiprocessors: 108, threads_per_multiprocessor: 2048 };
    /// H100 and H200, SXM form.
    pub const H100: Self = Self { multiprocessors: 132, threads_per_multiprocessor: 2048 };

    /// Threads that draw `n` numbers.
    fn threads(self, n: usize) -> u64 {
        let most = self.multiprocessors * (self.threads_per_multiprocessor / BLOCK);
        (n as u64).div_ceil(BLOCK).min(most).max(1) * BLOCK
    }
}

/// `torch.Generator("cuda").manual_seed(seed)` on a given GPU.
#[derive(Clone, Debug)]
pub struct TorchCuda {
    philox: Philox,
    /// Counters that every thread has used; torch's own offset is four times this.
    position: u64,
    gpu: Gpu,
}

impl TorchCuda {
    /// The generator after `manual_seed(seed)`.
    pub fn new(seed: u64, gpu: Gpu) -> Self {
        Self { philox: Philox::new(seed), position: 0, gpu }
    }

    /// `torch.randn(n, device="cuda")`: standard normals, four per counter.
    pub fn randn_f32(&mut self, n: usize) -> Vec<f32> {
        self.draw(n, |[x, y, z, w]| {
            let ((a, b), (c, d)) = (box_muller_f32(x, y), box_muller_f32(z, w));
            [a, b, c, d]
        })
    }

    /// `torch.randn(n, dtype=torch.float64, device="cuda")`: standard normals, two per counter.
    pub fn randn_f64(&mut self, n: usize) -> Vec<f64> {
        self.draw(n, |[x, y, z, w]| {
            let bits = |low: u32, high: u32| (u64::from(low) ^ (u64::from(high) << 21)) as f64;
            let u = (bits(x, y) + 0.5) / (1u64 << 53) as f64;
            let v = (bits(z, w) + 0.5) / (1u64 << 52) as f64;
            let radius = (-2.0 * u.ln()).sqrt();
            let (sin, cos) = (PI * v).sin_cos();
            [radius * sin, radius * cos]
        })
    }

    /// `torch.randint(high, [n], device="cuda")`: 0..`high`; zeros where `high` is 0.
    pub fn randint(&mut self, n: usize, high: u64) -> Vec<i64> {
        let reduce = |word: u64| word.checked_rem(high).unwrap_or(0) as i64;
        if u32::try_from(high).is_ok() {
            self.draw(n, |words| words.map(|word| reduce(u64::from(word))))
        } else {
            let wide = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
            self.draw(n, |[x, y, z, w]| [reduce(wide(x, y)), reduce(wide(z, w))])
        }
    }

    /// Element `i + k * threads` of a round is the k-th value of thread `i`.
    fn draw<T: Copy + Default, const K: usize>(
        &mut self,
        n: usize,
        values: impl Fn([u32; 4]) -> [T; K],
    ) -> Vec<T> {
        let threads = self.gpu.threads(n) as usize;
        let mut out = vec![T::default(); n];
        for round in out.chunks_mut(threads * K) {
            for thread in 0..threads.min(round.len()) {
                let drawn = values(self.philox.words(self.position, thread as u64));
                for (k, value) in drawn.into_iter().enumerate() {
                    if let Some(place) = round.get_mut(thread + k * threads) {
                        *place = value;
                    }
                }
            }
            self.position += 1;
        }
        out
    }
}

/// s sin v and s cos v with s = sqrt(-2 ln u), all quantities rounded to f32 as the kernel does.
fn box_muller_f32(x: u32, y: u32) -> (f32, f32) {
    const UNIT: f32 = 1.0 / 4_294_967_296.0;
    const TURN: f32 = UNIT * std::f32::consts::TAU;
    let u = x as f32 * UNIT + UNIT / 2.0;
    let v = (y as f32).mul_add(TURN, TURN / 2.0);
    let s = (-2.0 * f64::from(u).ln()).sqrt() as f32;
    let (sin, cos) = f64::from(v).sin_cos();
    (s * sin as f32, s * cos as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_as_published() {
        // torch.manual_seed(0); torch.randn(12, device="cuda"), as printed in public issue threads.
        let published =
            [-0.924_662_6, -0.425_344_15, -2.643_845_7, 0.145_183_88, -0.120_866_47, -0.579_725_64_f32];
        let drawn = TorchCuda::new(0, Gpu::A100).randn_f32(6);
        assert!(drawn.iter().zip(published).all(|(a, b)| (a - b).abs() < 2e-6), "{drawn:?}");
    }

    #[test]
    fn one_small_image_does_not_depend_on_the_gpu_but_a_large_draw_does() {
        let draw = |gpu, n| TorchCuda::new(5, gpu).randn_f32(n);
        assert_eq!(draw(Gpu::A100, 4 * 64 * 64), draw(Gpu::H100, 4 * 64 * 64));
        assert_ne!(draw(Gpu::A100, 1 << 20), draw(Gpu::H100, 1 << 20));
    }

    #[test]
    fn a_large_draw_uses_every_value_of_a_counter_and_then_the_next_counter() {
        let tiny = Gpu { multiprocessors: 1, threads_per_multiprocessor: 256 };
        let mut generator = TorchCuda::new(9, tiny);
        let words = generator.randint(256 * 5, 1 << 32);
        assert_eq!(generator.position, 3, "two 64-bit values per counter, 512 per round");
        let [x, y, ..] = Philox::new(9).words(2, 7);
        assert_eq!(words[1024 + 7], ((u64::from(x) << 32 | u64::from(y)) % (1 << 32)) as i64);
        let normals = TorchCuda::new(9, tiny).randn_f32(256 * 5);
        let [.., z, w] = Philox::new(9).words(0, 7);
        assert_eq!((normals[512 + 7], normals[768 + 7]), box_muller_f32(z, w));
    }
}
