//! Times of single operations, forward and with their backward pass: `cargo bench --bench kernels [-- FILTER]`.
//! `SIDA_KERNELS=avx2` or `SIDA_KERNELS=portable` in the environment takes another instruction set than the best; `MILLIS=5000`
//! repeats each operation for so long, for a profiler.
//!
//! Prints the median and the fastest of all rounds in microseconds, with the overhead of tape and allocation that
//! every operation has in a network. Compare runs on one machine only, and better in turns than in sequence.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use burn::tensor::{Device, Distribution, Tensor};
use sida::{
    kernels::{self, AdamStep, GroupNorm, InstructionSet, Recycler},
    seed::{Phase, Seed},
};

#[global_allocator]
static ALLOCATOR: Recycler = Recycler;

/// Batch, side and channels of the activations that are timed: digits, and 32x32 at two widths and its lower levels.
const EXTENTS: [[usize; 3]; 10] = [
    [64, 8, 16],
    [64, 4, 32],
    [16, 32, 32],
    [16, 16, 64],
    [16, 8, 64],
    [8, 32, 128],
    [8, 16, 256],
    [8, 8, 256],
    [4, 16, 192],
    [4, 8, 256],
];

fn main() {
    let set = InstructionSet::force_by_environment();
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).unwrap_or_default();
    let millis = std::env::var("MILLIS").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let bench = Bench { filter, millis };
    println!("{} threads, {:?}", kernels::threads(), set);
    for [n, side, c] in EXTENTS {
        let name = |op: &str| format!("{op:<14} [{n}, {side}, {side}, {c}]");
        let x = [n, side, side, c];
        bench.both(&name("conv 3x3"), x, [c, c, 3, 3], |x, w| kernels::conv2d(x, w, None));
        bench.both(&name("conv 1x1"), x, [c, c, 1, 1], |x, w| kernels::conv2d(x, w, None));
        bench.both(&name("norm + silu"), x, [1, 1, 2, c], |x, w| {
            let row = |i: usize| w.clone().slice([0..1, 0..1, i..i + 1]).reshape([c]);
            let groups = (c / 4).min(32);
            let norm = GroupNorm {
                groups,
                eps: 1e-6,
                weight: row(0),
                bias: row(1),
                shift_before: None,
                scale_shift: None,
                silu: true,
            };
            kernels::group_norm(x, norm)
        });
        bench.both(&name("weighted sum"), x, x, |x, y| kernels::weighted_sum(x, 0.7, y, 0.7, None));
        bench.both(&name("concat"), x, x, |x, y| kernels::concat(x, 1.0, y, 1.0));
        bench.both(&name("down + up"), x, [1; 4], |x, _| {
            kernels::upsample(kernels::downsample(x, &[1.0, 1.0]), &[1.0, 1.0])
        });
        if side <= 16 {
            bench.both(&name("attention"), [n, side, side, 3 * c], [1; 4], |x, _| {
                kernels::attention(x, 1, None)
            });
        }
        let draw = Seed(0).at(Phase::FakeScore, 0);
        let keys = kernels::Keys::new([draw], 0, &Device::flex());
        bench.both(&name("dropout"), x, [1; 4], |x, _| kernels::drop_activations(x, &keys, 0, 0.13));
        bench.time(&name("normals"), || drop(black_box(kernels::normals(draw, 0, x, &Device::flex()))));
        bench.both(&name("mp_silu"), x, [1; 4], |x, _| kernels::mp_silu(x, None));
    }
    let device = Device::flex();
    for len in [1000, 2_000_000] {
        let new = || Tensor::<1>::random([len], Distribution::Default, &device);
        let (mut state, gradient) = ([new(), new(), new()], new());
        let settings = AdamStep { lr: 1e-4, betas: [0.0, 0.999], eps: 1e-8, step: 5 };
        let all = 0..len;
        bench.time(&format!("adam           [{len}]"), || {
            let owned = std::mem::replace(&mut state, [0; 3].map(|_| gradient.clone()));
            state = kernels::adam(owned, gradient.clone(), std::slice::from_ref(&all), settings);
        });
    }
}

struct Bench {
    filter: String,
    /// How long each operation is repeated.
    millis: u64,
}

impl Bench {
    /// Times `f` without a tape, and with one and its backward pass to both operands.
    fn both(&self, name: &str, x: [usize; 4], w: [usize; 4], f: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4>) {
        let names = ["forward", "and to x", "and to w"].map(|what| format!("{name} {what}"));
        if !names.iter().any(|name| name.contains(&self.filter)) {
            return;
        }
        let new = |dims, device: &Device| Tensor::<4>::random(dims, Distribution::Normal(0.0, 1.0), device);
        let plain = Device::flex();
        let (a, b) = (new(x, &plain), new(w, &plain));
        self.time(&names[0], || drop(black_box(f(a.clone(), b.clone()))));
        let device = plain.autodiff();
        let (a, b) = (new(x, &device), new(w, &device));
        let (tracked_a, tracked_b) = (a.clone().require_grad(), b.clone().require_grad());
        let backward =
            |a: &Tensor<4>, b: &Tensor<4>| drop(black_box(f(a.clone(), b.clone()).sum().backward()));
        self.time(&names[1], || backward(&tracked_a, &b));
        if w != [1; 4] {
            self.time(&names[2], || backward(&a, &tracked_b));
        }
    }

    fn time(&self, name: &str, mut f: impl FnMut()) {
        if !name.contains(&self.filter) {
            return;
        }
        let mut times = Vec::new();
        let start = Instant::now();
        f();
        while times.len() < 5 || start.elapsed() < Duration::from_millis(self.millis) {
            let start = Instant::now();
            f();
            times.push(start.elapsed());
        }
        times.sort();
        let micros = |t: Duration| t.as_secs_f64() * 1e6;
        println!("{name:<48} {:>10.0} {:>10.0}", micros(times[times.len() / 2]), micros(times[0]));
    }
}
