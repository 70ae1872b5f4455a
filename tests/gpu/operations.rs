//! The operations that are compared.

use burn::tensor::{DType, Tensor};
use sida::{
    kernels::{self, GroupNorm},
    seed::{Phase, Seed},
};

/// Of x `[2, h, w, c]` and w `[c, c, 3, 3]`, from which an operation takes whatever parameters it has.
pub(crate) type Operation = fn(Tensor<4>, Tensor<4>) -> Tensor<4>;

/// Of x `[2, 16, 16, 24]`: those that multiply matrices or look at neighbours, by name.
pub(crate) const PRODUCTS: [(&str, Operation); 13] = [
    ("convolution 3x3", |x, w| kernels::conv2d(x, w.clone(), Some(values(&w, 0, 1)))),
    ("convolution 3x3 without padding", |x, w| kernels::conv2d_with(x, w, None, 1, [0, 0])),
    ("convolution 3x3 of stride 2", |x, w| kernels::conv2d_with(x, w, None, 2, [1, 1])),
    ("convolution 1x1", |x, w| kernels::conv2d(x, w.narrow(2, 1, 1).narrow(3, 1, 1), None)),
    ("dense", |x, w| {
        let bias = values(&w, 0, 1);
        let w = w.narrow(2, 0, 1).narrow(3, 0, 1).reshape([24, 24]);
        kernels::dense(x.reshape([512, 24]), w, Some(bias)).reshape([2, 16, 16, 24])
    }),
    ("attention", |x, _| kernels::attention(x, 2, Some(1e-4))),
    ("down", |x, _| kernels::downsample(x, &[1.0, 3.0, 3.0, 1.0])),
    ("down without padding", |x, _| kernels::downsample_with(x, &[1.0, 3.0, 3.0, 1.0], 0)),
    ("maximum pool", |x, _| kernels::max_pool(x, 2, 1)),
    ("average pool", |x, _| kernels::average_pool(x)),
    ("maximum pool, no gradient", |x, _| kernels::max_pool(x.clone().detach(), 1, 1) + x),
    ("average pool, no gradient", |x, _| kernels::average_pool(x.clone().detach()) + x),
    ("up", |x, _| kernels::upsample(x, &[1.0, 1.0])),
];

/// Value by value, row by row or group by group, of every shape of at least eight channels; by name.
pub(crate) const ROWS: [(&str, Operation); 26] = [
    ("group norm", |x, w| kernels::group_norm(x, norm(&w))),
    ("group norm with shift before", |x, w| {
        kernels::group_norm(x, GroupNorm { shift_before: Some(pair(&w, 2)), silu: true, ..norm(&w) })
    }),
    ("group norm with scale and shift", |x, w| {
        let scale_shift = Some(Tensor::cat(vec![pair(&w, 4), pair(&w, 6)], 1));
        kernels::group_norm(x, GroupNorm { scale_shift, silu: true, ..norm(&w) })
    }),
    ("mp_silu", |x, _| kernels::mp_silu(x, None)),
    ("mp_silu with gain", |x, w| kernels::mp_silu(x, Some(rows(&w, 0)))),
    ("pixel norm", |x, _| kernels::pixel_norm(x, 1e-4)),
    ("normalised weights", |x, w| kernels::conv2d(x, kernels::normalize_rows(w, 1e-4, 0.1, None), None)),
    ("normalised weights with gain", |x, w| {
        let gain = w.clone().narrow(0, 0, 1).narrow(1, 0, 1).narrow(2, 0, 1).narrow(3, 0, 1).reshape([1]);
        kernels::conv2d(x, kernels::normalize_rows(w, 1e-4, 0.1, Some(gain)), None)
    }),
    ("dropout", |x, _| {
        let draw = Seed(0).at(Phase::FakeScore, 0).purpose("dropout");
        let keys = kernels::Keys::new([draw.purpose("another"), draw], 5, &x.device());
        kernels::drop_activations(x, &keys, 1, 0.13)
    }),
    ("weighted sum", |x, w| kernels::weighted_sum(x.clone(), 0.7, like(&x, &w), 0.3, None)),
    ("weighted sum with limit", |x, w| kernels::weighted_sum(x.clone(), 0.7, like(&x, &w), 0.3, Some(1.0))),
    ("sum by equal weights", |x, w| kernels::weighted_sum(x.clone(), 0.7, like(&x, &w), 0.7, Some(1.0))),
    ("silu", |x, _| kernels::silu(x)),
    ("relu", |x, _| kernels::relu(x)),
    ("concatenation", |x, w| kernels::concat(x.clone(), 0.7, like(&x, &w).narrow(3, 0, 8), 1.3)),
    ("samples times weights", |x, w| kernels::scale(x, &numbers(&w))),
    ("weighted samples", |x, w| {
        kernels::blend(x.clone(), Some(&numbers(&w)), like(&x, &w), &(numbers(&w) * 2.0))
    }),
    ("samples and weighted samples", |x, w| kernels::blend(x.clone(), None, like(&x, &w), &numbers(&w))),
    ("samples without NaN", |x, w| {
        let spoiled = like(&x, &w).narrow(0, 1, 1).detach() * f64::NAN;
        let other = Tensor::cat(vec![x.clone().narrow(0, 0, 1).detach(), spoiled], 0);
        let marks = kernels::have_nan([&x, &other]);
        kernels::only(x, &marks) + kernels::only(other, &marks)
    }),
    ("squared error", |x, w| kernels::squared_error(x.clone(), like(&x, &w), &numbers(&w))),
    ("score identity", |x, w| {
        let real = like(&x, &w);
        let (fake, divisors) = (real.clone() * 0.7 - x.clone() * 0.2, numbers(&w).square() + 0.5);
        kernels::score_identity(x, real, fake, &divisors, 1.2)
    }),
    ("mean distance, no gradient", |x, w| kernels::mean_distance(&x, &like(&x, &w)).autodiff() + x),
    ("sum of all", |x, _| {
        let x = x.cast(DType::F32);
        x.clone() * kernels::total(x.clone() * x / 1e4).reshape([1, 1, 1, 1])
    }),
    ("mean of channels", |x, _| {
        let x = x.cast(DType::F32);
        kernels::to_nhwc(kernels::channel_mean(x.clone())) * x
    }),
    ("flat sum, no gradient", |x, w| {
        let flat = |x: &Tensor<4>| x.clone().detach().reshape([x.shape().num_elements()]);
        kernels::plus(flat(&x), flat(&like(&x, &w))).reshape(x.dims()) + x
    }),
    ("layout of files and back", |x, _| kernels::to_nhwc(kernels::to_nchw(x) * 2.0)),
];

/// As many values of some rows of w as x has channels.
fn values(w: &Tensor<4>, first: usize, rows: usize) -> Tensor<1> {
    let c = w.dims()[1];
    w.clone().narrow(0, first, rows).narrow(2, 0, 1).narrow(3, 0, 1).reshape([c * rows])
}

/// A row for each sample.
fn rows(w: &Tensor<4>, first: usize) -> Tensor<2> {
    values(w, first, 2).reshape([2, w.dims()[1]])
}

/// A number for each sample, in f32 and off the tape.
fn numbers(w: &Tensor<4>) -> Tensor<4> {
    values(w, 0, 1).narrow(0, 0, 2).reshape([2, 1, 1, 1]).cast(DType::F32).detach()
}

/// The same in f32, as embeddings are.
fn pair(w: &Tensor<4>, first: usize) -> Tensor<2> {
    rows(w, first).cast(DType::F32)
}

/// A group norm whose parameters are in f32, as networks keep them.
fn norm(w: &Tensor<4>) -> GroupNorm {
    GroupNorm {
        groups: w.dims()[1] / 4,
        eps: 1e-5,
        weight: values(w, 0, 1).cast(DType::F32),
        bias: values(w, 1, 1).cast(DType::F32),
        shift_before: None,
        scale_shift: None,
        silu: false,
    }
}

/// A tensor of x's shape; where w has fewer values, some are in it several times.
fn like(x: &Tensor<4>, w: &Tensor<4>) -> Tensor<4> {
    let (wanted, given) = (x.shape().num_elements(), w.shape().num_elements());
    let copies = vec![w.clone().reshape([given]); wanted.div_ceil(given)];
    Tensor::cat(copies, 0).narrow(0, 0, wanted).reshape(x.dims())
}
