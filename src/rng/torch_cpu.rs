//! `TorchCpu`: torch's CPU generator.

use std::f64::consts::TAU;

use super::mt19937::Mt19937;

/// `torch.Generator("cpu").manual_seed(seed)`; only the low 32 bits of the seed count.
#[derive(Clone)]
pub struct TorchCpu {
    words: Mt19937,
    /// Small normal draws come in pairs; the second of a pair waits here for the next small call.
    spare: Option<f64>,
}

/// Normals come in blocks: the first half holds radii, the second angles.
const BLOCK: usize = 16;

impl TorchCpu {
    /// The generator after `manual_seed(seed)`.
    pub fn new(seed: u64) -> Self {
        Self { words: Mt19937::new(seed as u32), spare: None }
    }

    /// `torch.rand(n)`: uniform in [0, 1), 24 bits each.
    pub fn rand_f32(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.uniform_f32()).collect()
    }

    /// `torch.rand(n, dtype=torch.float64)`: uniform in [0, 1), 53 bits each.
    pub fn rand_f64(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.uniform_f64()).collect()
    }

    /// `torch.randint(high, [n])`: 0..`high`; zeros where `high` is 0.
    pub fn randint(&mut self, n: usize, high: u64) -> Vec<i64> {
        let draw = |_| {
            let wide = u32::try_from(high).is_err();
            let word = if wide { self.words.next_u64() } else { u64::from(self.words.next_u32()) };
            word.checked_rem(high).unwrap_or(0) as i64
        };
        (0..n).map(draw).collect()
    }

    /// `torch.randn(n)`: standard normals.
    pub fn randn_f32(&mut self, n: usize) -> Vec<f32> {
        if n < BLOCK {
            return self.few_normals(n).into_iter().map(|x| x as f32).collect();
        }
        let draws = self.rand_f32(n);
        // The angle and the radius' argument round to f32 as in torch; the functions themselves are
        // evaluated in f64, so that the result does not depend on the platform's f32 library.
        self.in_blocks(draws, Self::uniform_f32, |u, v| {
            let radius = (-2.0 * f64::from(1.0 - u).ln()).sqrt() as f32;
            let angle = f64::from(std::f32::consts::TAU * v);
            (radius * angle.cos() as f32, radius * angle.sin() as f32)
        })
    }

    /// `torch.randn(n, dtype=torch.float64)`: standard normals.
    pub fn randn_f64(&mut self, n: usize) -> Vec<f64> {
        if n < BLOCK {
            return self.few_normals(n);
        }
        let draws = self.rand_f64(n);
        self.in_blocks(draws, Self::uniform_f64, |u, v| box_muller(1.0 - u, v))
    }

    fn uniform_f32(&mut self) -> f32 {
        (self.words.next_u32() & 0x00ff_ffff) as f32 / (1 << 24) as f32
    }

    fn uniform_f64(&mut self) -> f64 {
        (self.words.next_u64() & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }

    fn few_normals(&mut self, n: usize) -> Vec<f64> {
        let one = |_| {
            self.spare.take().unwrap_or_else(|| {
                let angle = self.uniform_f64();
                let (first, second) = box_muller(1.0 - self.uniform_f64(), angle);
                self.spare = Some(second);
                first
            })
        };
        (0..n).map(one).collect()
    }

    /// Turns uniforms into normals in place; a ragged end is drawn afresh as one whole block.
    fn in_blocks<T: Copy>(
        &mut self,
        mut values: Vec<T>,
        uniform: impl Fn(&mut Self) -> T,
        pair: impl Fn(T, T) -> (T, T),
    ) -> Vec<T> {
        let normal = |block: &mut [T]| {
            for j in 0..BLOCK / 2 {
                (block[j], block[j + BLOCK / 2]) = pair(block[j], block[j + BLOCK / 2]);
            }
        };
        values.chunks_exact_mut(BLOCK).for_each(normal);
        if !values.len().is_multiple_of(BLOCK) {
            let start = values.len() - BLOCK;
            values[start..].iter_mut().for_each(|value| *value = uniform(self));
            normal(&mut values[start..]);
        }
        values
    }
}

/// r cos t and r sin t with r = sqrt(-2 ln u), t = 2 pi v.
fn box_muller(u: f64, v: f64) -> (f64, f64) {
    let radius = (-2.0 * u.ln()).sqrt();
    let (sin, cos) = (TAU * v).sin_cos();
    (radius * cos, radius * sin)
}
