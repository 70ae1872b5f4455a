//! The denoising losses of EDM and EDM2. Pure functions; noise and sigma are arguments.

use burn::tensor::Tensor;

use crate::kernels;

/// EDM's weight of a noise level: `(sigma^2 + sd^2) / (sigma sd)^2`. `[n, 1, 1, 1]` => `[n, 1, 1, 1]`
pub fn weight(sigma: &Tensor<4>, sigma_data: f64) -> Tensor<4> {
    let square = sigma.clone().square();
    (square.clone() + sigma_data * sigma_data) / (square * (sigma_data * sigma_data))
}

/// The denoising loss of every value (EDM; with `logvar`, EDM2's, which learns its own uncertainty).
/// clean, denoised `[n, c, h, w]`; weight, logvar `[n, 1, 1, 1]` => `[n, c, h, w]`
pub fn denoising_loss(
    clean: Tensor<4>,
    denoised: Tensor<4>,
    weight: Tensor<4>,
    logvar: Option<Tensor<4>>,
) -> Tensor<4> {
    match logvar {
        None => kernels::squared_error(clean, denoised, &weight),
        Some(logvar) => (denoised - clean).square() * (weight / logvar.clone().exp()) + logvar,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn value(x: Tensor<4>) -> f32 {
        x.into_data().try_to_vec::<f32>().unwrap()[0]
    }

    fn scalar(x: f32) -> Tensor<4> {
        Tensor::from_data([[[[x]]]], &Device::flex())
    }

    #[test]
    fn the_weight_equalises_the_loss_of_a_network_that_says_zero() {
        // F = 0 leaves D - y with variance c_out^2; times the weight that is 1.
        for sigma in [0.01f32, 0.5, 30.0] {
            let c_out = sigma * 0.5 / (sigma * sigma + 0.25).sqrt();
            let loss = denoising_loss(scalar(0.0), scalar(c_out), weight(&scalar(sigma), 0.5), None);
            assert!((value(loss) - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn the_best_logvar_is_the_log_of_the_weighted_error() {
        let at = |u: f32| value(denoising_loss(scalar(0.0), scalar(2.0), scalar(3.0), Some(scalar(u))));
        let best = 12f32.ln();
        assert!((at(best) - (1.0 + best)).abs() < 1e-5);
        assert!(at(best) < at(best + 0.1) && at(best) < at(best - 0.1));
    }
}
