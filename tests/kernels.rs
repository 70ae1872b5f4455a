//! The fast CPU paths against their meaning in Burn tensors: values and gradients, on random and awkward extents.

use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;
use sida::{
    kernels::{self, AdamStep, GroupNorm, InstructionSet, Places, meaning},
    seed::{Phase, Seed},
};

// As in the program: recycled memory is not zero, so an element that a kernel forgets shows up.
#[global_allocator]
static ALLOCATOR: kernels::Recycler = kernels::Recycler;

/// Reproducible values in -1..1.
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn tensor<const D: usize>(dims: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values(dims.iter().product(), seed), dims), device)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().expect("f32 values")
}

/// The largest difference relative to the largest value.
fn distance(fast: &[f32], slow: &[f32]) -> f32 {
    assert_eq!(fast.len(), slow.len());
    let largest = slow.iter().fold(1e-6f32, |a, b| a.max(b.abs()));
    fast.iter().zip(slow).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

/// An operand of any rank, stored flat.
#[derive(Clone)]
struct Input {
    dims: Vec<usize>,
    seed: u64,
}

fn input(dims: &[usize], seed: u64) -> Input {
    Input { dims: dims.to_vec(), seed }
}

/// Runs `f` on tracked inputs (handed over flat, to be reshaped), pulls back a fixed random output gradient, and
/// returns the output followed by the gradient to every input.
fn run<const D: usize>(inputs: &[Input], f: impl Fn(&[Tensor<1>]) -> Tensor<D>) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let leaves: Vec<Tensor<1>> =
        inputs.iter().map(|i| tensor([i.dims.iter().product()], i.seed, &device).require_grad()).collect();
    let y = f(&leaves);
    let pull = tensor(y.dims(), 99, &device);
    let mut results = vec![host(y.clone().inner())];
    let mut gradients = (y * pull).sum().backward();
    for leaf in &leaves {
        results.push(host(leaf.grad_remove(&mut gradients).expect("a gradient for every input")));
    }
    results
}

fn check<const D: usize>(
    tolerance: f32,
    inputs: &[Input],
    fast: impl Fn(&[Tensor<1>]) -> Tensor<D>,
    slow: impl Fn(&[Tensor<1>]) -> Tensor<D>,
) -> Result<(), TestCaseError> {
    let (fast, slow) = (run(inputs, fast), run(inputs, slow));
    for (i, (fast, slow)) in fast.iter().zip(&slow).enumerate() {
        let d = distance(fast, slow);
        prop_assert!(d < tolerance, "result {i}: relative difference {d}");
    }
    Ok(())
}

fn shaped<const D: usize>(x: &Tensor<1>, dims: [usize; D]) -> Tensor<D> {
    x.clone().reshape(dims)
}

/// Makes this the instruction set of the process, for this test alone, while the guard lives.
fn force(set: InstructionSet) -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    set.force();
    guard
}

/// One of the instruction sets; the best below it where this processor lacks it.
fn instruction_set() -> impl Strategy<Value = InstructionSet> {
    prop_oneof![Just(InstructionSet::Portable), Just(InstructionSet::Avx2), Just(InstructionSet::Avx512)]
}

/// `conv2d_with`, ours and what it means.
type Conv = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, usize, [usize; 2]) -> Tensor<4>;

/// Channel counts around the vector lengths, and the ends of a network.
fn channels() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1), Just(3), Just(16), Just(32), Just(48), 1usize..70]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conv2d(set in instruction_set(), n in 1usize..4, h in 1usize..12, w in 1usize..12, c in channels(), k in channels(),
        side in prop_oneof![Just(1usize), Just(3), Just(5)], bias: bool, seed: u64)
    {
        let _set = force(set);
        let inputs = [input(&[n, h, w, c], seed), input(&[k, c, side, side], seed ^ 1), input(&[k], seed ^ 2)];
        let run = |f: fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>) -> Tensor<4>| move |t: &[Tensor<1>]| {
            let (x, weight) = (shaped(&t[0], [n, h, w, c]), shaped(&t[1], [k, c, side, side]));
            if bias { f(x, weight, Some(t[2].clone())) } else { f(x, weight, None) + t[2].clone().sum().reshape([1, 1, 1, 1]) }
        };
        check(2e-5, &inputs, run(kernels::conv2d), run(meaning::conv2d))?;
    }

    #[test]
    fn conv2d_with(set in instruction_set(), n in 1usize..4, h in 3usize..12, w in 3usize..12, c in channels(), k in channels(),
        kh in 1usize..4, kw in 1usize..4, stride in 1usize..4, padding in prop::array::uniform2(0usize..3), seed: u64)
    {
        let _set = force(set);
        let inputs = [input(&[n, h, w, c], seed), input(&[k, c, kh, kw], seed ^ 1), input(&[k], seed ^ 2)];
        let run = |f: Conv| move |t: &[Tensor<1>]| {
            f(shaped(&t[0], [n, h, w, c]), shaped(&t[1], [k, c, kh, kw]), Some(t[2].clone()), stride, padding)
        };
        check(2e-5, &inputs, run(kernels::conv2d_with), run(meaning::conv2d_with))?;
    }

    /// 3x3 without padding has a path of its own.
    #[test]
    fn conv2d_valid(set in instruction_set(), n in 1usize..4, h in 3usize..14, w in 3usize..14, c in channels(), k in channels(), seed: u64) {
        let _set = force(set);
        let inputs = [input(&[n, h, w, c], seed), input(&[k, c, 3, 3], seed ^ 1), input(&[k], seed ^ 2)];
        let run = |f: Conv| move |t: &[Tensor<1>]| {
            f(shaped(&t[0], [n, h, w, c]), shaped(&t[1], [k, c, 3, 3]), Some(t[2].clone()), 1, [0, 0])
        };
        check(2e-5, &inputs, run(kernels::conv2d_with), run(meaning::conv2d_with))?;
    }

    #[test]
    fn attention(set in instruction_set(), n in 1usize..4, h in 1usize..10, w in 1usize..10, heads in 1usize..4, d in 4usize..40,
        normalize: bool, seed: u64)
    {
        let _set = force(set);
        let dims = [n, h, w, 3 * heads * d];
        let eps = normalize.then_some(1e-4);
        let run = |f: fn(Tensor<4>, usize, Option<f64>) -> Tensor<4>| {
            move |t: &[Tensor<1>]| f(shaped(&t[0], dims) * 3.0, heads, eps)
        };
        check(1e-4, &[input(&dims, seed)], run(kernels::attention), run(meaning::attention))?;
    }

    #[test]
    fn resampling(set in instruction_set(), n in 1usize..4, h in 1usize..9, w in 1usize..9, c in channels(), down: bool, padded: bool,
        filter in prop_oneof![Just(vec![1.0f32, 1.0]), Just(vec![1.0, 3.0, 3.0, 1.0]), Just(vec![1.0, 2.0, 5.0, 3.0, 1.0, 0.5]),
            Just(vec![1.0, 2.0, 1.5])], seed: u64)
    {
        let _set = force(set);
        // Without padding the large side has to hold the filter.
        let more = if padded { 0 } else { filter.len() - 1 };
        let (h, w) = if down { (2 * h + more, 2 * w + more) } else { (h, w) };
        let run = |f: fn(Tensor<4>, &[f32]) -> Tensor<4>| {
            let filter = filter.clone();
            move |t: &[Tensor<1>]| f(shaped(&t[0], [n, h, w, c]), &filter)
        };
        if down && !padded {
            let inside = |x, f: &[f32]| kernels::downsample_with(x, f, 0);
            let truth = |x, f: &[f32]| meaning::downsample_with(x, f, 0);
            check(2e-6, &[input(&[n, h, w, c], seed)], run(inside), run(truth))?;
        } else if down {
            check(2e-6, &[input(&[n, h, w, c], seed)], run(kernels::downsample), run(meaning::downsample))?;
        } else {
            check(2e-6, &[input(&[n, h, w, c], seed)], run(kernels::upsample), run(meaning::upsample))?;
        }
    }

    #[test]
    fn mp_silu(set in instruction_set(), n in 1usize..4, h in 1usize..9, c in channels(), gain: bool, seed: u64) {
        // The gradient to a gain is a sum: of a few of them at least one is large enough to measure errors by.
        prop_assume!(n * c >= 8);
        let _set = force(set);
        let inputs = [input(&[n, h, h, c], seed), input(&[n, c], seed ^ 1)];
        let run = |f: fn(Tensor<4>, Option<Tensor<2>>) -> Tensor<4>| move |t: &[Tensor<1>]| {
            let gains = shaped(&t[1], [n, c]);
            let unused = gains.clone().sum().reshape([1, 1, 1, 1]);
            f(shaped(&t[0], [n, h, h, c]) * 4.0, gain.then_some(gains)) + unused
        };
        check(1e-5, &inputs, run(kernels::mp_silu), run(meaning::mp_silu))?;
    }

    #[test]
    fn pixel_norm(set in instruction_set(), n in 1usize..4, h in 1usize..9, c in channels(), seed: u64) {
        let _set = force(set);
        // With one channel the gradient is what is left of a difference of equals.
        let dims = [n, h, h, c.max(4)];
        let run = |f: fn(Tensor<4>, f64) -> Tensor<4>| move |t: &[Tensor<1>]| f(shaped(&t[0], dims), 1e-4);
        check(2e-5, &[input(&dims, seed)], run(kernels::pixel_norm), run(meaning::pixel_norm))?;
    }

    #[test]
    fn dense(set in instruction_set(), m in 1usize..300, c in channels(), k in channels(), bias: bool, seed: u64) {
        // As above, of the gradient to a weight.
        prop_assume!(c * k >= 8);
        let _set = force(set);
        let inputs = [input(&[m, c], seed), input(&[k, c], seed ^ 1), input(&[k], seed ^ 2)];
        let run = |f: fn(Tensor<2>, Tensor<2>, Option<Tensor<1>>) -> Tensor<2>| move |t: &[Tensor<1>]| {
            let (x, weight) = (shaped(&t[0], [m, c]), shaped(&t[1], [k, c]));
            if bias { f(x, weight, Some(t[2].clone())) } else { f(x, weight, None) + t[2].clone().sum().reshape([1, 1]) }
        };
        check(5e-6, &inputs, run(kernels::dense), run(meaning::dense))?;
    }

    #[test]
    fn group_norm(set in instruction_set(), n in 1usize..10, h in 2usize..9, w in 2usize..9, groups in 1usize..9, per_group in 1usize..9,
        before: bool, scale_shift: bool, silu: bool, seed: u64)
    {
        let c = groups * per_group;
        // As above, of the gradients to weight and bias.
        prop_assume!(c >= 8);
        let _set = force(set);
        let inputs: Vec<Input> = [vec![n, h, w, c], vec![c], vec![c], vec![n, c], vec![n, 2 * c]]
            .iter().enumerate().map(|(i, dims)| input(dims, seed ^ i as u64)).collect();
        let run = |f: fn(Tensor<4>, GroupNorm) -> Tensor<4>| move |t: &[Tensor<1>]| {
            let norm = GroupNorm {
                groups, eps: 1e-3, weight: t[1].clone(), bias: t[2].clone(), silu,
                shift_before: before.then(|| shaped(&t[3], [n, c])),
                scale_shift: scale_shift.then(|| shaped(&t[4], [n, 2 * c])),
            };
            // Unused inputs get a gradient too, so that all can be compared.
            let unused = t[3].clone().sum() + t[4].clone().sum();
            f(shaped(&t[0], [n, h, w, c]) * 3.0 + 5.0, norm) + unused.reshape([1, 1, 1, 1])
        };
        check(1e-4, &inputs, run(kernels::group_norm), run(meaning::group_norm))?;
    }

    #[test]
    fn weighted_sum(set in instruction_set(), n in 1usize..4, h in 1usize..9, c in channels(), equal: bool,
        limit in prop_oneof![Just(None), Just(Some(0.6)), Just(Some(10.0))], seed: u64)
    {
        // A single sum may all but cancel.
        prop_assume!(n * h * h * c >= 8);
        let _set = force(set);
        let inputs = [input(&[n, h, h, c], seed), input(&[n, h, h, c], seed ^ 1)];
        let weights = if equal { (0.5f64.sqrt(), 0.5f64.sqrt()) } else { (0.7, 1.0) };
        let run = |f: fn(Tensor<4>, f64, Tensor<4>, f64, Option<f64>) -> Tensor<4>| move |t: &[Tensor<1>]| {
            f(shaped(&t[0], [n, h, h, c]), weights.0, shaped(&t[1], [n, h, h, c]), weights.1, limit)
        };
        check(1e-6, &inputs, run(kernels::weighted_sum), run(meaning::weighted_sum))?;
    }

    /// To the last bit: losses and scalings are rounded as Burn's operations are.
    #[test]
    fn samples_and_losses(set in instruction_set(), n in 1usize..6, h in 1usize..9, c in channels(), seed: u64) {
        let _set = force(set);
        let dims = [n, c, h, h];
        let inputs = [input(&dims, seed), input(&dims, seed ^ 1), input(&dims, seed ^ 2)];
        let images = |t: &[Tensor<1>]| [0, 1, 2].map(|i| shaped(&t[i], dims));
        let weights = |seed| tensor::<4>([n, 1, 1, 1], seed, &Device::flex());
        let fast = |t: &[Tensor<1>]| {
            let [a, b, c] = images(t);
            let blend = kernels::blend(kernels::scale(a.clone(), &weights(3)), Some(&weights(4)), b.clone(), &weights(5));
            let blend = kernels::blend(blend, None, c.clone(), &weights(6));
            let error = kernels::squared_error(a.clone(), b.clone(), &weights(7));
            let identity = kernels::score_identity(a, b, c, &(weights(8).abs() + 0.1), 1.2);
            blend.clone() * identity + error + blend
        };
        let slow = |t: &[Tensor<1>]| {
            let [a, b, c] = images(t);
            let weights = |seed| weights(seed).autodiff();
            let blend = meaning::blend(meaning::scale(a.clone(), &weights(3)), Some(&weights(4)), b.clone(), &weights(5));
            let blend = meaning::blend(blend, None, c.clone(), &weights(6));
            let error = meaning::squared_error(a.clone(), b.clone(), &weights(7));
            let identity = meaning::score_identity(a, b, c, &(weights(8).abs() + 0.1), 1.2);
            blend.clone() * identity + error + blend
        };
        check(1e-6, &inputs, fast, slow)?;
        prop_assert_eq!(&run(&inputs, fast)[0], &run(&inputs, slow)[0]);
    }

    #[test]
    fn means_and_sums(n in 1usize..6, h in 1usize..9, c in channels(), seed: u64) {
        let dims = [n, h, h, c];
        let inputs = [input(&dims, seed), input(&dims, seed ^ 1)];
        let fast = |t: &[Tensor<1>]| {
            let [x, y] = [0, 1].map(|i| shaped(&t[i], dims));
            let distance = kernels::mean_distance(&x, &y).autodiff();
            let mean = kernels::to_nhwc(kernels::channel_mean(x.clone()));
            kernels::total(x.clone() * y.clone()).reshape([1, 1, 1, 1]) + x * mean + y * distance
        };
        let slow = |t: &[Tensor<1>]| {
            let [x, y] = [0, 1].map(|i| shaped(&t[i], dims));
            // Burn's own sums of many f32 are off by more than ours.
            let distance = meaning::mean_distance(&x.clone().inner().cast(DType::F64), &y.clone().inner().cast(DType::F64));
            let distance = distance.cast(DType::F32).autodiff();
            let mean = kernels::to_nhwc(meaning::channel_mean(x.clone()));
            let total = meaning::total((x.clone() * y.clone()).cast(DType::F64)).cast(DType::F32);
            total.reshape([1, 1, 1, 1]) + x * mean + y * distance
        };
        check(1e-5, &inputs, fast, slow)?;
        // However long, a sum is rounded once.
        let long = 100_000 + n * 7 + c;
        let [a, b] = [0, 2].map(|i| values(long, seed ^ i));
        let wanted = a.iter().map(|x| f64::from(*x)).sum::<f64>();
        let [x, y] = [&a, &b].map(|x| Tensor::<4>::from_data(TensorData::new(x.clone(), [1, long, 1, 1]), &Device::flex()));
        let close = |found: Tensor<1>, wanted: f64| (f64::from(host(found)[0]) - wanted).abs() < 1e-7 * wanted.abs() + 1e-9;
        prop_assert!(close(kernels::total(x.clone()), wanted));
        let apart = a.iter().zip(&b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / long as f64;
        prop_assert!(close(kernels::mean_distance(&x, &y).reshape([1]), apart));
    }

    /// To the last bit: a solver's steps, in f64 and in f32, and the way from one to the other.
    #[test]
    fn steps_of_a_solver(n in 1usize..6, h in 1usize..9, c in channels(), sigma in 0.002f64..80.0, seed: u64) {
        for dtype in [DType::F64, DType::F32] {
            let [x, y, z] = [0, 1, 2].map(|i| tensor::<4>([n, c, h, h], seed ^ i, &Device::flex()).cast(dtype) * 1.7);
            let same = |ours: Tensor<4>, burns: Tensor<4>| ours.into_data() == burns.into_data();
            prop_assert!(same(kernels::slope(x.clone(), y.clone(), sigma), (x.clone() - y.clone()) / sigma));
            prop_assert!(same(kernels::advance(x.clone(), y.clone(), sigma), x.clone() + y.clone() * sigma));
            let both = x.clone() + (y.clone() + z.clone()) * sigma;
            prop_assert!(same(kernels::advance_between(x.clone(), y, z, sigma), both));
            for to in [DType::F64, DType::F32, DType::F16] {
                prop_assert!(same(kernels::cast(x.clone(), to), x.clone().cast(to)));
            }
        }
    }

    /// A sample with a NaN in one of several tensors is zeros, and passes no gradient.
    #[test]
    fn samples_without_nan(n in 1usize..6, h in 1usize..9, c in channels(), at: proptest::sample::Index, seed: u64) {
        let dims = [n, c, h, h];
        let mut spoiled = values(n * c * h * h, seed ^ 1);
        let at = at.index(spoiled.len());
        spoiled[at] = f32::NAN;
        let spoiled = Tensor::<4>::from_data(TensorData::new(spoiled, dims), &Device::flex());
        let inputs = [input(&dims, seed)];
        let fast = |t: &[Tensor<1>]| {
            let x = shaped(&t[0], dims);
            let marks = kernels::have_nan([&x, &spoiled]);
            kernels::only(x, &marks) + kernels::only(spoiled.clone().autodiff(), &marks)
        };
        let slow = |t: &[Tensor<1>]| {
            let x = shaped(&t[0], dims);
            let marks = meaning::have_nan(vec![x.clone().inner(), spoiled.clone()]);
            meaning::only(x, &marks) + meaning::only(spoiled.clone().autodiff(), &marks)
        };
        check(1e-6, &inputs, fast, slow)?;
        let width = c * h * h;
        for values in run(&inputs, fast) {
            prop_assert!(values[at / width * width..][..width].iter().all(|value| *value == 0.0));
            prop_assert!(n == 1 || values.iter().any(|value| *value != 0.0));
        }
    }

    #[test]
    fn normalize_rows(set in instruction_set(), rows in 1usize..40, c in channels(), area in 1usize..10, gain: bool, seed: u64) {
        let _set = force(set);
        // With a single value per row the gradient is what is left of a difference of equals.
        let dims = [rows, c.max(4), area];
        let run = |f: fn(Tensor<3>, f64, f64, Option<Tensor<1>>) -> Tensor<3>| move |t: &[Tensor<1>]| {
            let gain = gain.then(|| Tensor::from_floats([-1.7], &t[0].device()));
            f(shaped(&t[0], dims), 1e-4, 0.3, gain)
        };
        check(2e-5, &[input(&dims, seed)], run(kernels::normalize_rows), run(meaning::normalize_rows))?;
        // The gradient to the gain is a sum over everything: of squares here, so that nothing cancels.
        let run = |f: fn(Tensor<3>, f64, f64, Option<Tensor<1>>) -> Tensor<3>| move |t: &[Tensor<1>]| {
            let weight = tensor(dims, seed, &t[0].device());
            (f(weight.clone(), 1e-4, 0.3, Some(t[0].clone())) * weight).sum()
        };
        check(2e-6, &[input(&[1], seed ^ 1)], run(kernels::normalize_rows), run(meaning::normalize_rows))?;
    }

    #[test]
    fn concat(set in instruction_set(), n in 1usize..4, h in 1usize..9, a in channels(), b in channels(), plain: bool, seed: u64) {
        let _set = force(set);
        let inputs = [input(&[n, h, h, a], seed), input(&[n, h, h, b], seed ^ 1)];
        let weights = if plain { (1.0, 1.0) } else { (0.7, 1.3) };
        let run = |f: fn(Tensor<4>, f64, Tensor<4>, f64) -> Tensor<4>| move |t: &[Tensor<1>]| {
            f(shaped(&t[0], [n, h, h, a]), weights.0, shaped(&t[1], [n, h, h, b]), weights.1)
        };
        check(1e-6, &inputs, run(kernels::concat), run(meaning::concat))?;
    }

    #[test]
    fn pools(set in instruction_set(), n in 1usize..4, h in 3usize..12, w in 3usize..12, c in channels(), stride in 1usize..4, padding in 0usize..2, seed: u64) {
        let _set = force(set);
        let x = tensor([n, h, w, c], seed, &Device::flex());
        for (fast, slow) in [
            (kernels::max_pool(x.clone(), stride, padding), meaning::max_pool(x.clone(), stride, padding)),
            (kernels::average_pool(x.clone()), meaning::average_pool(x)),
        ] {
            prop_assert_eq!(fast.dims(), slow.dims());
            let d = distance(&host(fast), &host(slow));
            prop_assert!(d < 1e-6, "relative difference {d}");
        }
    }

    #[test]
    fn silu_and_relu(set in instruction_set(), len in 4usize..200, seed: u64) {
        let _set = force(set);
        let run = |f: fn(Tensor<1>) -> Tensor<1>| move |t: &[Tensor<1>]| f(t[0].clone() * 20.0);
        check(2e-6, &[input(&[len], seed)], run(kernels::silu), run(meaning::silu))?;
        check(1e-6, &[input(&[len], seed)], run(kernels::relu), run(meaning::relu))?;
    }
}

/// Dropped activations and their gradients are those of the mask's definition, bit for bit; handles of x see nothing of it.
#[test]
fn dropped_activations() {
    let draw = Seed(3).at(Phase::FakeScore, 64).purpose("dropout");
    let keys = kernels::Keys::new([draw.purpose("another"), draw], 17, &Device::flex());
    for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
        let _set = force(set);
        for dims in [[3, 4, 4, 16], [2, 3, 5, 7], [1, 1, 1, 1], [2, 33, 32, 24]] {
            let run = |f: fn(Tensor<4>, &kernels::Keys, usize, f64) -> Tensor<4>| {
                run(&[input(&dims, 1)], |t| f(shaped(&t[0], dims), &keys, 1, 0.13))
            };
            assert!(run(kernels::drop_activations) == run(meaning::drop_activations), "{dims:?} {set:?}");
        }
    }
}

/// Bit-equal results for any number of threads, of every operation.
#[test]
fn threads_do_not_change_results() {
    let (n, h, c, k) = (5, 16, 40, 72);
    let inputs =
        [input(&[n, h, h, c], 1), input(&[k, c, 3, 3], 2), input(&[k], 3), input(&[k], 4), input(&[k, k], 5)];
    let network = |t: &[Tensor<1>]| {
        let y = kernels::conv2d(shaped(&t[0], [n, h, h, c]), shaped(&t[1], [k, c, 3, 3]), Some(t[2].clone()));
        let norm = GroupNorm {
            groups: 8,
            eps: 1e-5,
            weight: t[2].clone(),
            bias: t[3].clone(),
            shift_before: Some(t[3].clone().unsqueeze::<2>().repeat_dim(0, n)),
            scale_shift: None,
            silu: true,
        };
        let y = kernels::group_norm(y, norm);
        let attended = kernels::attention(y.clone(), 2, Some(1e-4));
        let small =
            kernels::downsample(kernels::concat(y.clone(), 0.7, attended, 1.3), &[1.0, 3.0, 3.0, 1.0]);
        let large = kernels::upsample(small.narrow(3, 0, k), &[1.0, 1.0]);
        let gain = t[2].clone().unsqueeze::<2>().repeat_dim(0, n);
        let y = kernels::weighted_sum(kernels::mp_silu(large, Some(gain)), 0.7, y, 0.3, Some(1.0));
        let y = kernels::pixel_norm(kernels::silu(y), 1e-4);
        let windows = shaped(&t[4], [k, k]).narrow(0, 0, 8).reshape([8, 24, 3]).unsqueeze_dim(2);
        let y = kernels::conv2d_with(y.narrow(3, 0, 24), windows, None, 2, [0, 1]);
        let y = kernels::average_pool(y.clone()) + kernels::max_pool(y, 1, 1);
        let [_, rows, columns, channels] = y.dims();
        let weights = kernels::normalize_rows(shaped(&t[4], [k, k]), 1e-4, 0.5, None).narrow(1, 0, channels);
        kernels::dense(y.reshape([n * rows * columns, channels]), weights, Some(t[3].clone()))
    };
    let bits = |threads| kernels::with_threads(threads, || run(&inputs, network));
    for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
        let _set = force(set);
        let one = bits(1);
        for threads in [2, 3, 4] {
            assert!(bits(threads) == one, "{threads} threads, {set:?}");
        }
    }
}

/// Lengths below and above the parts that work is split into.
const LENGTHS: [usize; 4] = [1, 17, 64, 100_003];

fn of_lengths(seed: u64, device: &Device) -> (Places, Vec<(Range<usize>, Tensor<1>)>) {
    let places = Places::new(LENGTHS);
    let tensor =
        |(i, place): (usize, &Range<usize>)| (place.clone(), tensor([place.len()], seed + i as u64, device));
    let tensors = places.ranges().iter().enumerate().map(tensor).collect();
    (places, tensors)
}

/// Tensors in their places, with zeros between them, and a view of each that shares the memory.
#[test]
fn gathered_tensors() {
    let device = Device::flex();
    for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
        let _set = force(set);
        let (places, mut tensors) = of_lengths(1, &device);
        assert!(places.ranges().iter().all(|place| place.start % 64 == 0));
        let flat = kernels::gather(tensors.clone(), places.total());
        assert_eq!(host(flat.clone()), host(meaning::gather(tensors.clone(), places.total())));
        for (place, tensor) in &tensors {
            assert_eq!(host(kernels::view(&flat, place.clone())), host(tensor.clone()));
        }
        assert_eq!(host(flat.clone())[1..64], [0.0; 63]);
        // One has no gradient; another handle must not see the sum.
        tensors.remove(1);
        let sum = kernels::add_gathered(flat.clone(), tensors.clone());
        assert_eq!(host(sum), host(meaning::add_gathered(flat.clone(), tensors.clone())));
        assert_eq!(host(kernels::view(&flat, tensors[0].0.clone())), host(tensors[0].1.clone()));
        let without = kernels::gather(tensors.clone(), places.total());
        assert_eq!(host(without), host(meaning::gather(tensors, places.total())));
    }
}

/// A view of a part of a flat tensor is one to the kernels, too: nothing is copied, and its neighbours are not read.
#[test]
fn operations_on_views() {
    let _set = force(InstructionSet::Avx512);
    let device = Device::flex();
    let (x, w) = (tensor([5, 24], 1, &device), tensor([8, 24], 2, &device));
    let places = Places::new([5 * 24, 8 * 24]);
    let flat = [x.clone().reshape([120]), w.clone().reshape([192])];
    let flat = kernels::gather(places.ranges().iter().cloned().zip(flat).collect(), places.total());
    let [of_x, of_w] = [0, 1].map(|i| kernels::view(&flat, places.ranges()[i].clone()));
    let product = kernels::dense(of_x.reshape([5, 24]), of_w.reshape([8, 24]), None);
    assert_eq!(host(product), host(kernels::dense(x, w, None)));
}

/// Cleaning: the same for any number of threads, in place where nobody else has the memory, and all four numbers.
#[test]
fn cleaned_gradients() {
    let device = Device::flex();
    for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
        let _set = force(set);
        let (places, tensors) = of_lengths(5, &device);
        let flat = kernels::gather(tensors, places.total());
        let mut odd = host(flat.clone());
        let last = places.ranges()[3].clone();
        for (i, value) in [(0, f32::NAN), (40_000, f32::NAN), (70_000, f32::NEG_INFINITY), (99_999, 7e4)] {
            odd[last.start + i] = value;
        }
        odd[places.ranges()[1].start] = f32::INFINITY;
        let odd = Tensor::from_floats(odd.as_slice(), &device);
        for (flat, limit) in [(&flat, None), (&odd, None), (&odd, Some(0.5)), (&flat, Some(1e3))] {
            let before: Vec<u32> = host(flat.clone()).into_iter().map(f32::to_bits).collect();
            let (fast, numbers) = kernels::clean(flat.clone(), &places, limit);
            let (slow, of_meaning) = meaning::clean(flat.clone(), &places, limit);
            assert_eq!(host(fast), host(slow));
            let (numbers, of_meaning) = (host(numbers), host(of_meaning));
            for (fast, slow) in numbers.chunks(4).zip(of_meaning.chunks(4)) {
                assert!((fast[0] - slow[0]).abs() <= 1e-5 * slow[0], "{fast:?} {slow:?}");
                assert_eq!(fast[1..], slow[1..]);
            }
            for threads in [1, 3] {
                let again = kernels::with_threads(threads, || kernels::clean(flat.clone(), &places, limit));
                assert_eq!(host(again.1), numbers);
            }
            let after: Vec<u32> = host(flat.clone()).into_iter().map(f32::to_bits).collect();
            assert_eq!(after, before, "another handle must not see the update");
        }
        let large = Tensor::from_floats([1.0, 3e38], &device);
        let (same, numbers) = kernels::clean(large, &Places::new([2]), None);
        assert_eq!(host(same), [1.0, 3e38]);
        assert_eq!(host(numbers), [f32::INFINITY, 0.0, 0.0, 0.0]);
    }
}

/// Gradients of frozen operands are not computed, and those of the others do not change.
#[test]
fn frozen_operands() {
    let _set = force(InstructionSet::Avx512);
    let device = Device::flex().autodiff();
    let x = tensor([2, 8, 8, 16], 1, &device).require_grad();
    let weight = tensor([16, 16, 3, 3], 2, &device);
    let frozen = kernels::conv2d(x.clone(), weight.clone(), None).sum().backward();
    assert!(weight.grad(&frozen).is_none());
    let tracked = kernels::conv2d(x.clone(), weight.require_grad(), None).sum().backward();
    let gradient = |g| host(x.grad(g).expect("x is tracked"));
    assert_eq!(gradient(&frozen), gradient(&tracked));
}

/// Twenty steps of Adam and of an EMA against their meaning, with handles shared and not.
#[test]
fn adam_and_lerp() {
    let device = Device::flex();
    for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
        let _set = force(set);
        let start = |seed| tensor([1000], seed, &device);
        let zero = || Tensor::<1>::zeros([1000], &device);
        let (mut fast, mut slow) = ([start(1), zero(), zero()], [start(1), zero(), zero()]);
        let (mut fast_ema, mut slow_ema) = (start(2), start(2));
        let runs = [0..300, 320..1000];
        for step in 1..=20 {
            let settings = AdamStep { lr: 1e-3, betas: [0.3, 0.999], eps: 1e-8, step };
            let gradient = tensor([1000], 100 + step, &device);
            let kept = fast[0].clone();
            let before = host(kept.clone());
            fast = kernels::adam(fast, gradient.clone(), &runs, settings);
            assert_eq!(host(kept), before, "another handle must not see the update");
            assert_eq!(host(fast[0].clone())[300..320], before[300..320], "not in a run");
            slow = meaning::adam(slow, gradient, &runs, settings);
            fast_ema = kernels::lerp(fast_ema, fast[0].clone(), 0.1);
            slow_ema = meaning::lerp(slow_ema, slow[0].clone(), 0.1);
        }
        let both = fast.into_iter().zip(slow).chain([(fast_ema, slow_ema)]);
        for (fast, slow) in both {
            let d = distance(&host(fast), &host(slow));
            assert!(d < 1e-6, "relative difference {d}");
        }
    }
}

/// A sample with a NaN becomes NaN, and the others do not notice: losses leave such samples out.
#[test]
fn one_sample_is_not_a_number() {
    let device = Device::flex();
    let mut values = values(2 * 4 * 4 * 24, 7);
    values[3] = f32::NAN;
    let x = || Tensor::<4>::from_data(TensorData::new(values.clone(), [2, 4, 4, 24]), &device);
    let norm = || GroupNorm {
        groups: 1,
        eps: 1e-5,
        weight: Tensor::ones([24], &device),
        bias: Tensor::ones([24], &device),
        shift_before: None,
        scale_shift: None,
        silu: true,
    };
    let weight = || tensor([8, 24, 3, 3], 9, &device);
    for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
        let _set = force(set);
        for (fast, slow) in [
            (kernels::group_norm(x(), norm()), meaning::group_norm(x(), norm())),
            (kernels::attention(x(), 1, None), meaning::attention(x(), 1, None)),
            (kernels::attention(x(), 2, Some(1e-4)), meaning::attention(x(), 2, Some(1e-4))),
            (kernels::silu(x()), meaning::silu(x())),
            (kernels::pixel_norm(x(), 1e-4), meaning::pixel_norm(x(), 1e-4)),
            (kernels::conv2d(x(), weight(), None), meaning::conv2d(x(), weight(), None)),
        ] {
            let (fast, slow) = (host(fast), host(slow));
            let half = fast.len() / 2;
            // Winograd's tiles spread a NaN a little further than the window does.
            let spread = fast[..half].iter().zip(&slow).all(|(fast, slow)| fast.is_nan() || !slow.is_nan());
            assert!(spread && fast[..half].iter().any(|v| v.is_nan()), "{set:?}");
            assert!(distance(&fast[half..], &slow[half..]) < 1e-5, "{set:?}");
        }
    }
}

/// Gradients that meet are added in Burn's order: at a leaf, at what lies between, and with Burn's own among them.
#[test]
fn gradients_that_meet_are_added() {
    let device = Device::flex().autodiff();
    let leaf = || tensor::<4>([2, 3, 4, 5], 1, &device).require_grad();
    let weights = |seed| tensor::<4>([2, 1, 1, 1], seed, &Device::flex());
    let loss = |x: &Tensor<4>| {
        let between = kernels::scale(x.clone(), &weights(2));
        let of_ours = kernels::scale(between.clone(), &weights(3));
        let both = kernels::blend(between.clone(), Some(&weights(4)), of_ours, &weights(5));
        let sum =
            both.clone() * kernels::silu(both.clone()) + between * 0.3 + kernels::scale(both, &weights(6));
        kernels::total(sum + kernels::scale(x.clone(), &weights(7)))
    };
    let (ours, theirs) = (leaf(), leaf());
    let by_us = ours.grad(&kernels::backward(&loss(&ours))).expect("a leaf");
    let by_burn = theirs.grad(&loss(&theirs).backward()).expect("a leaf");
    let (by_us, by_burn) = (host(by_us), host(by_burn));
    assert!(by_us.iter().any(|value| *value != 0.0));
    assert_eq!(by_us, by_burn);
}

/// Half precision on a CPU: what is long passes through f32, and is rounded once.
#[test]
fn halves_are_computed_in_single_precision() {
    let half = |dims: &[usize], seed| {
        let values = values(dims.iter().product(), seed);
        Tensor::<1>::from_data(TensorData::new(values, [dims.iter().product::<usize>()]), &Device::flex())
            .cast(DType::BF16)
    };
    let [n, h, c, k] = [2, 6, 8, 5];
    let x = || half(&[n, h, h, c], 1).reshape([n, h, h, c]);
    let weight = || half(&[k, c, 3, 3], 2).reshape([k, c, 3, 3]);
    let bias = || half(&[k], 3);
    let gain = || half(&[n, c], 4).reshape([n, c]);
    let single = |x: Tensor<4>| x.cast(DType::F32);
    let filter = [1.0, 3.0, 3.0, 1.0];
    let pairs = [
        (
            kernels::conv2d(x(), weight(), Some(bias())),
            kernels::conv2d(single(x()), single(weight()), Some(bias().cast(DType::F32))),
        ),
        (
            kernels::dense(x().reshape([n * h * h, c]), weight().reshape([k * 9, c]), None).unsqueeze(),
            kernels::dense(single(x()).reshape([n * h * h, c]), single(weight()).reshape([k * 9, c]), None)
                .unsqueeze(),
        ),
        (kernels::downsample(x(), &filter), kernels::downsample(single(x()), &filter)),
        (kernels::upsample(x(), &filter), kernels::upsample(single(x()), &filter)),
        (kernels::silu(x()), kernels::silu(single(x()))),
        (kernels::mp_silu(x(), Some(gain())), kernels::mp_silu(single(x()), Some(gain().cast(DType::F32)))),
        (
            kernels::normalize_rows(weight(), 1e-4, 0.5, None),
            kernels::normalize_rows(single(weight()), 1e-4, 0.5, None),
        ),
    ];
    for (i, (halves, singles)) in pairs.into_iter().enumerate() {
        assert_eq!(halves.dtype(), DType::BF16, "{i}");
        assert_eq!(halves.into_data(), singles.cast(DType::BF16).into_data(), "{i}");
    }
}
