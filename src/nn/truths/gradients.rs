//! Gradients by the input and by all weights.

use burn::{module::Module, tensor::Gradients};

use super::*;

/// A step along the gradient, of the input and all weights together, changes a random projection of the outputs
/// by the gradient's length: true only if every part of the gradient is.
#[test]
fn gradients_agree_with_finite_differences() {
    let device = Device::flex().autodiff();
    for config in all() {
        let weights = lively(&config);
        let q = question(&config, 2, &device);
        let (r, r_logits) = (noise("r", [2, 3, 8, 8], &device), noise("l", [2, 1, 4, 4], &device));
        let loss = |network: &Network, x: Tensor<4>| {
            let d = network.denoise(x, q.sigma.clone(), &q.condition, Dropout::Off);
            let loss = (d.images.clone() * r.clone()).sum() + (d.logits() * r_logits.clone()).sum();
            d.logvar.map_or(loss.clone(), |logvar| loss + logvar.sum())
        };
        let network = config.load(&weights, "a test", &device).unwrap();
        let x = q.noisy.clone().require_grad();
        let gradients = loss(&network, x.clone()).backward();
        let of_x = Tensor::from_inner(x.grad(&gradients).unwrap());
        let of_weights = parameter_gradients(&network, &gradients);
        assert_eq!(of_weights.len(), network.parameter_names().len());
        let squares = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        let length = squares(&values(of_x.clone())) + of_weights.iter().map(|(_, g)| squares(g)).sum::<f64>();
        let length = length.sqrt();
        let at = |step: f64| {
            let step = (step / length) as f32;
            let mut weights = weights.clone();
            for (name, gradient) in &of_weights {
                let values = weights[name].as_mut_slice::<f32>().unwrap();
                values.iter_mut().zip(gradient).for_each(|(w, g)| *w += step * g);
            }
            let network = config.load(&weights, "a test", &device).unwrap();
            f64::from(loss(&network, q.noisy.clone() + of_x.clone() * step).into_scalar::<f32>())
        };
        // A five-point stencil: its error falls with the fourth power of the step.
        let h = 0.005;
        let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
        let error = (slope / length - 1.0).abs();
        assert!(error < 2e-3, "{config:?}: the slope is {slope}, the gradient {length}");
    }
}

#[test]
fn a_network_without_gradients_still_passes_them_to_its_input() {
    let device = Device::flex().autodiff();
    let config = all().swap_remove(0);
    let network = config.load(&lively(&config), "a test", &device).unwrap();
    let q = question(&config, 2, &device);
    let gradient = |network: &Network| {
        let x = q.noisy.clone().require_grad();
        let d = network.denoise(x.clone(), q.sigma.clone(), &q.condition, Dropout::Off);
        let gradients = (d.images.clone().square().sum() + d.logits().square().sum()).backward();
        (x.grad(&gradients).unwrap(), parameter_gradients(network, &gradients).len())
    };
    let (learning, with) = gradient(&network);
    let (frozen, without) = gradient(&network.clone().no_grad());
    assert_eq!(learning.into_data(), frozen.into_data());
    assert_eq!(without, 0);
    assert!(with > 0);

    let plain = question(&config, 2, &Device::flex());
    assert!(!ask(&network.valid(), &plain, Dropout::Off).images.is_autodiff());
}

#[test]
fn blocks_that_are_run_again_give_the_same_gradients() {
    let device = Device::flex().autodiff();
    for config in all() {
        let network = config.load(&lively(&config), "a test", &device).unwrap();
        let q = question(&config, 2, &device);
        // With and without gradients of its own.
        for network in [network.clone(), network.no_grad().train()] {
            let gradient = |network: &Network| {
                let x = q.noisy.clone().require_grad();
                let d = network.denoise(x.clone(), q.sigma.clone(), &q.condition, dropping(&config, 0..2));
                let loss = d.images.clone().square().sum() + d.logits().square().sum();
                let gradients = loss.clone().backward();
                let of_weights = parameter_gradients(network, &gradients);
                (values(loss.reshape([1, 1, 1, 1])), values(x.grad(&gradients).unwrap()), of_weights)
            };
            let (kept, again) = (gradient(&network), gradient(&network.clone().with_recompute(true)));
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&kept.0), bits(&again.0), "{config:?}: the loss");
            assert_eq!(bits(&kept.1), bits(&again.1), "{config:?}: the gradient to the input");
            assert_eq!(kept.2.len(), again.2.len());
            for ((name, kept), (_, again)) in kept.2.iter().zip(&again.2) {
                assert_eq!(bits(kept), bits(again), "{config:?}: {name}");
            }
        }
    }
}

fn parameter_gradients(network: &Network, gradients: &Gradients) -> Vec<(String, Vec<f32>)> {
    struct Collect<'a>(&'a Gradients, Vec<Option<Vec<f32>>>);
    impl burn::module::ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            let gradient = param.val().grad(self.0);
            self.1.push(gradient.map(|g| g.into_data().try_into_vec().unwrap()));
        }
    }
    let mut collect = Collect(gradients, Vec::new());
    network.visit(&mut collect);
    let named = network.parameter_names().into_iter().zip(collect.1);
    named.filter_map(|(name, gradient)| Some((name, gradient?))).collect()
}
