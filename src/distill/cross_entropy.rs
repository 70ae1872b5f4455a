//! Binary cross-entropy of the discriminator's logits.

use burn::tensor::{Tensor, activation::log_sigmoid};

/// The cost of every logit that should say "real". `[n, 1, h, w]` => `[n, 1, h, w]`
pub fn should_be_real(logits: Tensor<4>) -> Tensor<4> {
    -log_sigmoid(logits)
}

/// The cost of every logit that should say "generated". `[n, 1, h, w]` => `[n, 1, h, w]`
pub fn should_be_generated(logits: Tensor<4>) -> Tensor<4> {
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
