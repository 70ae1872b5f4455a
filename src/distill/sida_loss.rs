//! What SiDA adds to SiD's losses: the fake score network's encoder tells generated from real images, and the generator
//! wants to be taken for real. Binary cross-entropy of the encoder's logits, a mean over a micro-batch. Pure functions.

use burn::tensor::{Tensor, activation::log_sigmoid};

use super::kept::Kept;

/// The logits that the generator learns from are held within this.
const LARGEST_LOGIT: f64 = 10.0;

/// What it costs the encoder to mistake one for the other. logits `[n, 1, h, w]` => `[1, 1, 1, 1]`
pub fn discriminator(real: Tensor<4>, generated: Tensor<4>, kept: &Kept) -> Tensor<4> {
    let real = kept.mean(should_be_real(kept.only(real)));
    let generated = kept.mean(should_be_generated(kept.only(generated)));
    (real + generated) / 2.0
}

/// What it costs the generator not to be taken for real. Without `kept`, the logits of dropped samples count, and their
/// NaN is the mean's. logits `[n, 1, h, w]` => `[1, 1, 1, 1]`
pub fn generator(logits: Tensor<4>, kept: Option<&Kept>) -> Tensor<4> {
    match kept {
        Some(kept) => kept.mean(should_be_real(kept.only(logits).clamp(-LARGEST_LOGIT, LARGEST_LOGIT))),
        None => should_be_real(clamp_with_nan(logits)).mean().reshape([1, 1, 1, 1]),
    }
}

/// Clamped; but NaN stays NaN on every device.
fn clamp_with_nan(logits: Tensor<4>) -> Tensor<4> {
    let nan = logits.clone().is_nan();
    logits.clone().clamp(-LARGEST_LOGIT, LARGEST_LOGIT).mask_where(nan, logits)
}

/// The cost of every logit that should say "real". `[n, 1, h, w]` => `[n, 1, h, w]`
fn should_be_real(logits: Tensor<4>) -> Tensor<4> {
    -log_sigmoid(logits)
}

/// The cost of every logit that should say "generated". `[n, 1, h, w]` => `[n, 1, h, w]`
fn should_be_generated(logits: Tensor<4>) -> Tensor<4> {
    -log_sigmoid(-logits)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn costs_and_gradients_are_those_of_the_logistic_function() {
        let device = Device::flex().autodiff();
        for x in [-80f64, -3.0, 0.0, 0.5, 90.0] {
            let logit = Tensor::<4>::from_data([[[[x as f32]]]], &device).require_grad();
            let cost = should_be_real(logit.clone());
            let tape = cost.clone().sum().backward();
            let truth = if x < -30.0 { -x } else { (-x).exp().ln_1p() };
            assert!((f64::from(cost.into_scalar::<f32>()) - truth).abs() < 1e-6 * truth.max(1.0));
            let slope = f64::from(logit.grad(&tape).unwrap().into_scalar::<f32>());
            assert!((slope + 1.0 / (1.0 + x.exp())).abs() < 1e-6);
            let other = should_be_generated(logit).into_scalar::<f32>();
            assert!((f64::from(other) - (truth + x)).abs() < 1e-5 * (truth + x).abs().max(1.0));
        }
    }
}
