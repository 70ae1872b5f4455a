//! What each operation means, written in Burn tensors: the judge of the fast paths, and the path of every
//! device that has none.

use burn::tensor::{
    Tensor,
    activation::{self, softmax},
    module,
    ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions},
};

/// `[n, c, h, w]` to `[n, h, w, c]`.
pub fn to_nhwc(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// `[n, h, w, c]` to `[n, c, h, w]`.
pub fn to_nchw(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// A convolution of stride 1 with "same" zero padding. x `[n, h, w, c]`, weight `[k, c, kh, kw]` with odd
/// `kh` and `kw`, bias `[k]` => `[n, h, w, k]`
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
    let [_, _, kh, kw] = weight.dims();
    conv2d_with(x, weight, bias, 1, [kh / 2, kw / 2])
}

/// A convolution with the given stride and zero padding `[top and bottom, left and right]`.
/// x `[n, h, w, c]`, weight `[k, c, kh, kw]`, bias `[k]` => `[n, h', w', k]`
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

/// A dense layer. x `[m, c]`, weight `[k, c]`, bias `[k]` => `[m, k]`
pub fn dense(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let y = x.matmul(weight.transpose());
    match bias {
        Some(bias) => y + bias.unsqueeze::<2>(),
        None => y,
    }
}

/// The settings of one fused group normalisation:
/// `y = norm(x + shift_before) * weight + bias`, then `y * (1 + scale) + shift`, then SiLU; the optional parts
/// where given.
#[derive(Debug)]
pub struct GroupNorm {
    /// Number of groups; divides the channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
    /// `[c]`
    pub weight: Tensor<1>,
    /// `[c]`
    pub bias: Tensor<1>,
    /// Added to x before the normalisation, one value per sample and channel (DDPM++). `[n, c]`
    pub shift_before: Option<Tensor<2>>,
    /// `(scale, shift)` of the normalised values, per sample and channel (ADM). Each `[n, c]`
    pub scale_shift: Option<(Tensor<2>, Tensor<2>)>,
    /// Whether a SiLU follows.
    pub silu: bool,
}

/// Group normalisation with what surrounds it. x `[n, h, w, c]` => `[n, h, w, c]`
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
        Some((scale, shift)) => y * (per_sample(scale) + 1.0) + per_sample(shift),
        None => y,
    };
    if norm.silu { silu(y) } else { y }
}

/// x times sigmoid(x), elementwise.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// The larger of x and 0, elementwise.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::relu(x)
}

/// Magnitude-preserving SiLU (EDM2): `silu(x * gain) / 0.596`, with an optional gain per sample and channel.
/// x `[n, h, w, c]`, gain `[n, c]` => `[n, h, w, c]`
pub fn mp_silu(x: Tensor<4>, gain: Option<Tensor<2>>) -> Tensor<4> {
    let [n, _, _, c] = x.dims();
    let x = match gain {
        Some(gain) => x * gain.reshape([n, 1, 1, c]),
        None => x,
    };
    silu(x) / 0.596
}

/// Pixel norm (EDM2): every position divided by `eps + rms over channels`. x `[n, h, w, c]` => `[n, h, w, c]`
pub fn pixel_norm(x: Tensor<4>, eps: f64) -> Tensor<4> {
    let rms = x.clone().square().mean_dim(3).sqrt();
    x / (rms + eps)
}

/// Weights as EDM2 uses them: every row over `eps + its root mean square`, times a constant and an optional learned
/// gain. weight `[k, ...]`, gain `[1]` => `[k, ...]`
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

/// `a * weight_a + b * weight_b`: residual sums and EDM2's `mp_sum`. With a limit, values beyond +-limit are held
/// there and pass no gradient. All `[n, h, w, c]`
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

/// Concatenation along channels, each part times its weight (EDM2's `mp_cat`; weights 1 elsewhere).
/// `[n, h, w, ca]`, `[n, h, w, cb]` => `[n, h, w, ca + cb]`
pub fn concat(a: Tensor<4>, weight_a: f64, b: Tensor<4>, weight_b: f64) -> Tensor<4> {
    let times = |t: Tensor<4>, weight: f64| if weight.to_bits() == 1f64.to_bits() { t } else { t * weight };
    Tensor::cat(vec![times(a, weight_a), times(b, weight_b)], 3)
}

/// Halves the resolution with a separable depthwise filter: outer product over sum squared, padding
/// `(len - 1) / 2`, stride 2. x `[n, h, w, c]` => `[n, h / 2, w / 2, c]`
pub fn downsample(x: Tensor<4>, filter: &[f32]) -> Tensor<4> {
    let c = x.dims()[3];
    let options = ConvOptions::new([2, 2], [(filter.len() - 1) / 2; 2], [1, 1], c);
    to_nhwc(module::conv2d(to_nchw(x.clone()), depthwise(filter, 1.0, c, &x), None, options))
}

/// Doubles the resolution with a separable depthwise filter, transposed, times 4.
/// x `[n, h, w, c]` => `[n, 2 h, 2 w, c]`
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

/// Multi-head self-attention over all positions. Channel `(head * d + i) * 3 + j` of `qkv` is component i of
/// query (j = 0), key (1) or value (2). `normalize_eps`: EDM2 first divides each of the three, per head and
/// position, by `eps + rms`. qkv `[n, h, w, 3 c]` => `[n, h, w, c]`
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

/// The largest value of every 3x3 window; padding (0 or 1 on every side) never is.
/// x `[n, h, w, c]` => `[n, h', w', c]` with `h' = (h + 2 padding - 3) / stride + 1`
pub fn max_pool(x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
    let options = MaxPoolOptions::new([3, 3]).with_stride([stride; 2]).with_padding([padding; 2]);
    to_nhwc(module::max_pool2d(to_nchw(x), options))
}

/// The average of every 3x3 window of stride 1, over the pixels that lie within the image.
/// x `[n, h, w, c]` => `[n, h, w, c]`
pub fn average_pool(x: Tensor<4>) -> Tensor<4> {
    let options = AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]);
    to_nhwc(module::avg_pool2d(to_nchw(x), options.with_count_include_pad(false)))
}

/// One step of Adam: what the recipe says, and how many steps there have been.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate of this step.
    pub lr: f64,
    /// Decay rates of the first and second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Number of this step, from 1; for bias correction.
    pub step: u64,
}

/// Adam without weight decay, bias correction on (torch's arithmetic): the new (parameter, first moment, second moment).
pub fn adam<const D: usize>(
    parameter: Tensor<D>,
    moment1: Tensor<D>,
    moment2: Tensor<D>,
    gradient: Tensor<D>,
    adam: AdamStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let [beta1, beta2] = adam.betas;
    let moment1 = moment1 * beta1 + gradient.clone() * (1.0 - beta1);
    let moment2 = moment2 * beta2 + gradient.square() * (1.0 - beta2);
    let correction = |beta: f64| 1.0 - beta.powf(adam.step as f64);
    let denominator = moment2.clone().sqrt() / correction(beta2).sqrt() + adam.eps;
    let parameter = parameter - moment1.clone() / denominator * (adam.lr / correction(beta1));
    (parameter, moment1, moment2)
}

/// `from + (to - from) * weight`: an EMA's update with weight 1 - beta.
pub fn lerp<const D: usize>(from: Tensor<D>, to: Tensor<D>, weight: f64) -> Tensor<D> {
    from.clone() + (to - from) * weight
}

/// The sum of squares of every tensor, in one tensor: one number each, infinite or NaN where one of its values is or
/// where it overflows. `[m]` each => `[number of tensors]`
pub fn square_sums(tensors: &[Tensor<1>]) -> Tensor<1> {
    let sum = |tensor: &Tensor<1>| tensor.clone().cast(burn::tensor::DType::F32).square().sum();
    Tensor::cat(tensors.iter().map(sum).collect(), 0)
}
