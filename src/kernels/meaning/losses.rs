//! Of samples and losses.

use burn::tensor::Tensor;

pub fn scale(x: Tensor<4>, weights: &Tensor<4>) -> Tensor<4> {
    x * weights.clone().detach()
}

pub fn blend(a: Tensor<4>, weights_a: Option<&Tensor<4>>, b: Tensor<4>, weights_b: &Tensor<4>) -> Tensor<4> {
    let a = match weights_a {
        Some(weights) => scale(a, weights),
        None => a,
    };
    a + scale(b, weights_b)
}

pub fn have_nan(tensors: Vec<Tensor<4>>) -> Tensor<4> {
    let of_one = |tensor: Tensor<4>| {
        let [n, c, h, w] = tensor.dims();
        tensor.reshape([n, c * h * w]).is_nan().any_dim(1).reshape([n, 1, 1, 1])
    };
    let all = tensors.into_iter().map(of_one).reduce(Tensor::bool_or);
    all.expect("at least one tensor").float()
}

pub fn only(x: Tensor<4>, marks: &Tensor<4>) -> Tensor<4> {
    let mask = marks.clone().not_equal_elem(0.0).expand(x.dims());
    let mask = if x.is_autodiff() { mask.autodiff() } else { mask };
    x.mask_fill(mask, 0.0)
}

pub fn squared_error(clean: Tensor<4>, denoised: Tensor<4>, weights: &Tensor<4>) -> Tensor<4> {
    scale((denoised - clean).square(), weights)
}

pub fn score_identity(
    generated: Tensor<4>,
    real: Tensor<4>,
    fake: Tensor<4>,
    divisors: &Tensor<4>,
    alpha: f64,
) -> Tensor<4> {
    let gap = real.clone() - fake;
    gap.clone() * ((real - generated) - gap * alpha) / divisors.clone().detach()
}

pub fn mean_distance(a: &Tensor<4>, b: &Tensor<4>) -> Tensor<4> {
    (a.clone() - b.clone()).abs().mean_dims(&[1, 2, 3])
}

pub fn channel_mean(x: Tensor<4>) -> Tensor<4> {
    x.mean_dim(3).permute([0, 3, 1, 2])
}

pub fn total(x: Tensor<4>) -> Tensor<1> {
    x.sum()
}
