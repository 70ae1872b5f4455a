//! What each operation means, written in Burn tensors: the judge of the fast paths, and the path of every
//! device that has none. Shapes and units stand at the operation of the same name, in the files beside this one.
#![expect(missing_docs, reason = "each says the same as the operation of its name")]

use std::ops::Range;

use burn::tensor::{
    Bool, Tensor, TensorData,
    activation::{self, softmax},
    module,
    ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions},
};

mod losses;

pub use losses::{
    blend, channel_mean, have_nan, mean_distance, only, scale, score_identity, squared_error, total,
};

use super::{
    AdamStep, GroupNorm, Keys, Places,
    cpu::{
        flat::LARGEST,
        random::{self, Dropping},
    },
    to_nchw, to_nhwc,
};

pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
    let [_, _, kh, kw] = weight.dims();
    conv2d_with(x, weight, bias, 1, [kh / 2, kw / 2])
}

pub fn conv2d_with(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: [usize; 2],
) -> Tensor<4> {
    let options = ConvOptions::new([stride; 2], padding, [1, 1], 1);
    to_nhwc(module::conv2d(to_nchw(x), weight, bias, options))
}

pub fn dense(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let y = x.matmul(weight.transpose());
    match bias {
        Some(bias) => y + bias.unsqueeze::<2>(),
        None => y,
    }
}

pub fn group_norm(x: Tensor<4>, norm: GroupNorm) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let per_sample = |t: Tensor<2>| t.reshape([n, 1, 1, c]);
    let x = match norm.shift_before {
        Some(shift) => x + per_sample(shift),
        None => x,
    };
    let x = x.reshape([n, h * w, norm.groups, c / norm.groups]);
    let x = x.clone() - x.mean_dim(1).mean_dim(3);
    let variance = x.clone().square().mean_dim(1).mean_dim(3);
    let x = (x * (variance + norm.eps).sqrt().recip()).reshape([n, h, w, c]);
    let y = x * norm.weight.reshape([1, 1, 1, c]) + norm.bias.reshape([1, 1, 1, c]);
    let y = match norm.scale_shift {
        Some(both) => y * (per_sample(both.clone().narrow(1, 0, c)) + 1.0) + per_sample(both.narrow(1, c, c)),
        None => y,
    };
    if norm.silu { silu(y) } else { y }
}

pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::relu(x)
}

pub fn exponential<const D: usize>(x: Tensor<D>, slope: f64, offset: f64) -> Tensor<D> {
    (x.detach() * slope + offset).exp()
}

pub fn power<const D: usize>(x: Tensor<D>, slope: f64, offset: f64, exponent: u32) -> Tensor<D> {
    (x.detach() * slope + offset).powi_scalar(exponent)
}

pub fn mp_silu(x: Tensor<4>, gain: Option<Tensor<2>>) -> Tensor<4> {
    let [n, _, _, c] = x.dims();
    let x = match gain {
        Some(gain) => x * gain.reshape([n, 1, 1, c]),
        None => x,
    };
    silu(x) / 0.596
}

pub fn pixel_norm(x: Tensor<4>, eps: f64) -> Tensor<4> {
    let rms = x.clone().square().mean_dim(3).sqrt();
    x / (rms + eps)
}

pub fn normalize_rows<const D: usize>(
    weight: Tensor<D>,
    eps: f64,
    factor: f64,
    gain: Option<Tensor<1>>,
) -> Tensor<D> {
    let shape = weight.shape();
    let (outputs, count) = (weight.dims()[0], shape.num_elements());
    let rows: Tensor<2> = weight.reshape([outputs, count / outputs]);
    let scale = (rows.clone().square().mean_dim(1).sqrt() + eps).recip() * factor;
    let scale = match gain {
        Some(gain) => scale * gain.unsqueeze::<2>(),
        None => scale,
    };
    (rows * scale).reshape(shape)
}

pub fn weighted_sum(
    a: Tensor<4>,
    weight_a: f64,
    b: Tensor<4>,
    weight_b: f64,
    limit: Option<f64>,
) -> Tensor<4> {
    let sum = if weight_a.to_bits() == weight_b.to_bits() {
        (a + b) * weight_a
    } else {
        a * weight_a + b * weight_b
    };
    match limit {
        Some(limit) => sum.clamp(-limit, limit),
        None => sum,
    }
}

pub fn concat(a: Tensor<4>, weight_a: f64, b: Tensor<4>, weight_b: f64) -> Tensor<4> {
    let times = |t: Tensor<4>, weight: f64| if weight.to_bits() == 1f64.to_bits() { t } else { t * weight };
    Tensor::cat(vec![times(a, weight_a), times(b, weight_b)], 3)
}

pub fn downsample(x: Tensor<4>, filter: &[f32]) -> Tensor<4> {
    downsample_with(x, filter, (filter.len() - 1) / 2)
}

pub fn downsample_with(x: Tensor<4>, filter: &[f32], padding: usize) -> Tensor<4> {
    let c = x.dims()[3];
    let options = ConvOptions::new([2, 2], [padding; 2], [1, 1], c);
    to_nhwc(module::conv2d(to_nchw(x.clone()), depthwise(filter, 1.0, c, &x), None, options))
}

pub fn upsample(x: Tensor<4>, filter: &[f32]) -> Tensor<4> {
    let c = x.dims()[3];
    let options =
        burn::tensor::ops::ConvTransposeOptions::new([2, 2], [(filter.len() - 1) / 2; 2], [0, 0], [1, 1], c);
    to_nhwc(module::conv_transpose2d(to_nchw(x.clone()), depthwise(filter, 4.0, c, &x), None, options))
}

/// The 2-D kernel of a separable filter for every channel, on the device and in the type of `like`. `[c, 1, f, f]`
fn depthwise(filter: &[f32], gain: f32, c: usize, like: &Tensor<4>) -> Tensor<4> {
    let sum: f32 = filter.iter().sum();
    let plane: Vec<f32> =
        filter.iter().flat_map(|a| filter.iter().map(move |b| gain * a * b / (sum * sum))).collect();
    let f = filter.len();
    Tensor::<1>::from_floats(plane.as_slice(), &like.device())
        .cast(like.dtype())
        .reshape([1, 1, f, f])
        .repeat_dim(0, c)
}

pub fn attention(qkv: Tensor<4>, heads: usize, normalize_eps: Option<f64>) -> Tensor<4> {
    let [n, h, w, c3] = qkv.dims();
    let d = c3 / 3 / heads;
    let qkv = qkv.reshape([n, h * w, heads, d, 3]).swap_dims(1, 2);
    let qkv = match normalize_eps {
        Some(eps) => {
            let rms = qkv.clone().square().mean_dim(3).sqrt();
            qkv / (rms + eps)
        }
        None => qkv,
    };
    let part = |i: usize| -> Tensor<4> { qkv.clone().narrow(4, i, 1).reshape([n, heads, h * w, d]) };
    let weights = softmax(part(0).matmul(part(1).swap_dims(2, 3)) / (d as f64).sqrt(), 3);
    weights.matmul(part(2)).swap_dims(1, 2).reshape([n, h, w, heads * d])
}

pub fn max_pool(x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
    let options = MaxPoolOptions::new([3, 3]).with_stride([stride; 2]).with_padding([padding; 2]);
    to_nhwc(module::max_pool2d(to_nchw(x), options))
}

pub fn average_pool(x: Tensor<4>) -> Tensor<4> {
    let options = AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]);
    to_nhwc(module::avg_pool2d(to_nchw(x), options.with_count_include_pad(false)))
}

pub fn adam(
    state: [Tensor<1>; 3],
    gradient: Tensor<1>,
    runs: &[Range<usize>],
    adam: AdamStep,
) -> [Tensor<1>; 3] {
    let [beta1, beta2] = adam.betas;
    let correction = |beta: f64| 1.0 - beta.powf(adam.step as f64);
    runs.iter().fold(state, |state, run| {
        let [parameter, moment1, moment2] =
            state.each_ref().map(|tensor| tensor.clone().slice([run.clone()]));
        let gradient = gradient.clone().slice([run.clone()]);
        let moment1 = moment1 * beta1 + gradient.clone() * (1.0 - beta1);
        let moment2 = moment2 * beta2 + gradient.square() * (1.0 - beta2);
        let denominator = moment2.clone().sqrt() / correction(beta2).sqrt() + adam.eps;
        let parameter = parameter - moment1.clone() / denominator * (adam.lr / correction(beta1));
        let mut new = [parameter, moment1, moment2].into_iter();
        state.map(|tensor| tensor.slice_assign([run.clone()], new.next().expect("three")))
    })
}

pub fn lerp(from: Tensor<1>, to: Tensor<1>, weight: f64) -> Tensor<1> {
    from.clone() + (to - from) * weight
}

pub fn gather(tensors: Vec<(Range<usize>, Tensor<1>)>, total: usize) -> Tensor<1> {
    let zeros = Tensor::zeros([total], &tensors.first().expect("a tensor to gather").1.device());
    tensors.into_iter().fold(zeros, |flat, (place, tensor)| flat.slice_assign([place], tensor))
}

pub fn add_gathered(flat: Tensor<1>, tensors: Vec<(Range<usize>, Tensor<1>)>) -> Tensor<1> {
    tensors.into_iter().fold(flat, |flat, (place, tensor)| {
        let sum = flat.clone().slice([place.clone()]) + tensor;
        flat.slice_assign([place], sum)
    })
}

pub fn clean(flat: Tensor<1>, places: &Places, limit: Option<f64>) -> (Tensor<1>, Tensor<1>) {
    let count = |mask: Tensor<1, Bool>| mask.float().sum();
    let mut numbers = Vec::new();
    let flat = places.ranges().iter().fold(flat, |flat, place| {
        let values = flat.clone().slice([place.clone()]);
        let nan = values.clone().is_nan();
        let [up, down] = [f32::INFINITY, f32::NEG_INFINITY].map(|value| values.clone().equal_elem(value));
        let clean = values
            .mask_fill(nan.clone(), 0.0)
            .mask_fill(up.clone(), LARGEST)
            .mask_fill(down.clone(), -LARGEST);
        let held = match limit {
            Some(limit) => clean.clone().clamp(-limit, limit),
            None => clean.clone(),
        };
        let changed = held.clone().not_equal(clean.clone());
        numbers.extend([clean.square().sum(), count(nan), count(up.bool_or(down)), count(changed)]);
        flat.slice_assign([place.clone()], held)
    });
    (flat, Tensor::cat(numbers, 0))
}

pub fn drop_activations(x: Tensor<4>, keys: &Keys, draw: usize, share: f64) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let (key, first) = keys.of(draw);
    let Dropping { threshold, kept } = Dropping::share(share);
    // Two activations share a word; the lower half is the first one's.
    let words = random::words(key, first..first + n as u64, (h * w * c).div_ceil(2));
    let halves = |word: u32| [word & 0xffff, word >> 16];
    let mask = |bits| if bits < threshold { 0.0 } else { kept };
    let of_sample = |words: &[u32]| {
        words.iter().flat_map(|word| halves(*word)).take(h * w * c).map(mask).collect::<Vec<_>>()
    };
    let masks: Vec<f32> = words.chunks((h * w * c).div_ceil(2).max(1)).flat_map(of_sample).collect();
    let masks = Tensor::<4>::from_data(TensorData::new(masks, [n, h, w, c]), (&x.device(), x.dtype()));
    x * masks
}
