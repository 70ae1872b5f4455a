//! Heun's method over EDM's noise schedule, deterministic or with churn (EDM, Algorithm 2).

use burn::tensor::{DType, Device, Tensor};

use super::{noise_level::RhoSchedule, sampler_settings::EdmSampler};
use crate::kernels;

/// What a sampler asks of a network: D(x; sigma), in the precision of x and where x is.
pub type Denoise<'a> = dyn FnMut(Tensor<4>, f64) -> Tensor<4> + 'a;
/// Fresh standard normals for a step, counted from 0, wherever they are. => `[n, c, h, w]`
pub type FreshNoise<'a> = dyn FnMut(usize) -> Tensor<4> + 'a;

impl EdmSampler {
    /// The share by which a step raises the noise level t.
    fn gamma(&self, t: f64) -> f64 {
        if (self.s_min..=self.s_max.unwrap_or(f64::INFINITY)).contains(&t) {
            (self.s_churn / f64::from(self.num_steps)).min(2f64.sqrt() - 1.0)
        } else {
            0.0
        }
    }
}

/// Which steps draw fresh noise: of no consequence, unless a generator with a state is behind the draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// Every step (EDM).
    Always,
    /// Steps that add noise (EDM2).
    WhereAdded,
}

/// The sampler.
pub struct Heun<'a> {
    /// Steps, noise levels, stochasticity.
    pub settings: &'a EdmSampler,
    /// Precision of everything but the network: f64 in EDM, f32 in EDM2.
    pub precision: DType,
    /// Where everything but the network is.
    pub home: Device,
    /// The nearest noise level that the network knows.
    pub round_sigma: &'a dyn Fn(f64) -> f64,
    /// Which steps draw.
    pub drawing: Drawing,
}

/// Where a sampler of this precision is at home: beside the network, or on the host where the network's device does
/// not compute in it, as Apple's GPUs and others do not in f64. The numbers are the same; an evaluation then takes one
/// tensor down and one up, in the network's f32.
pub fn home(precision: DType, device: &Device) -> Device {
    if device.supports_dtype(precision) { device.clone() } else { Device::flex() }
}

impl Heun<'_> {
    /// Turns unit noise into images: 2 `num_steps` - 1 evaluations. latents `[n, c, h, w]` => `[n, c, h, w]`
    pub fn sample(
        &self,
        latents: Tensor<4>,
        denoise: &mut Denoise<'_>,
        noise: &mut FreshNoise<'_>,
    ) -> Tensor<4> {
        let &EdmSampler { num_steps, sigma_min, sigma_max, rho, .. } = self.settings;
        let mut steps = RhoSchedule { sigma_min, sigma_max, rho }.time_steps(num_steps as usize);
        let last = steps.len() - 1;
        steps[..last].iter_mut().for_each(|t| *t = (self.round_sigma)(*t));
        let mut x = self.at_home(latents) * steps[0];
        for (i, pair) in steps.windows(2).enumerate() {
            x = self.step(i, x, [pair[0], pair[1]], denoise, noise);
        }
        x
    }

    fn at_home(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::cast(x.to_device(&self.home), self.precision)
    }

    fn step(
        &self,
        i: usize,
        x: Tensor<4>,
        [t, t_next]: [f64; 2],
        denoise: &mut Denoise<'_>,
        noise: &mut FreshNoise<'_>,
    ) -> Tensor<4> {
        let gamma = self.settings.gamma(t);
        let added = gamma > 0.0;
        let fresh = (added || self.drawing == Drawing::Always).then(|| noise(i));
        let (t_hat, x_hat) = match fresh {
            Some(fresh) if added => {
                let t_hat = (self.round_sigma)(t + gamma * t);
                let std = (t_hat * t_hat - t * t).sqrt() * self.settings.s_noise;
                (t_hat, x + self.at_home(fresh) * std)
            }
            _ => (t, x),
        };
        let slope = kernels::slope(x_hat.clone(), denoise(x_hat.clone(), t_hat), t_hat);
        let x_next = kernels::advance(x_hat.clone(), slope.clone(), t_next - t_hat);
        if t_next <= 0.0 {
            return x_next;
        }
        let slope_next = kernels::slope(x_next.clone(), denoise(x_next, t_next), t_next);
        kernels::advance_between(x_hat, slope, slope_next, 0.5 * (t_next - t_hat))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    fn heun(settings: &EdmSampler) -> Heun<'_> {
        let (precision, home) = (DType::F64, Device::flex());
        Heun { settings, precision, home, round_sigma: &|t| t, drawing: Drawing::WhereAdded }
    }

    fn steps(num_steps: u32) -> EdmSampler {
        EdmSampler { num_steps, ..EdmSampler::default() }
    }

    /// The exact denoiser of data with standard deviation 0.5 and mean 0.3.
    fn gaussian(x: Tensor<4>, sigma: f64) -> Tensor<4> {
        (x * 0.25 + 0.3 * sigma * sigma) / (0.25 + sigma * sigma)
    }

    fn latents(n: usize) -> Tensor<4> {
        let values: Vec<f32> = (0..n * 64).map(|i| ((i * 7919 % 1000) as f32 / 500.0 - 1.0) * 1.7).collect();
        Tensor::from_data(TensorData::new(values, [n, 1, 8, 8]), &Device::flex())
    }

    fn values(x: Tensor<4>) -> Vec<f64> {
        x.into_data().convert::<f64>().try_into_vec().unwrap()
    }

    /// The largest error against the exact solution: (x - mean) / sqrt(std^2 + t^2) is constant along the ODE.
    fn error(num_steps: u32) -> f64 {
        let x = heun(&steps(num_steps)).sample(latents(1), &mut gaussian, &mut |_| unreachable!());
        let shrink = 0.5 / (0.25f64 + 6400.0).sqrt();
        let exact = |z: f64| 0.3 + (80.0 * z - 0.3) * shrink;
        values(x).iter().zip(values(latents(1))).map(|(x, z)| (x - exact(z)).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn it_converges_to_the_exact_solution_at_second_order() {
        let (coarse, fine) = (error(64), error(128));
        assert!(fine < 1e-3, "error {fine}");
        let order = (coarse / fine).log2();
        assert!((order - 2.0).abs() < 0.15, "order {order}");
    }

    /// The ends of the ranges that the language gives a sampler, in every combination.
    #[test]
    fn the_ends_of_every_range_give_numbers() {
        for (precision, num_steps) in [(DType::F64, 1), (DType::F32, 2), (DType::F64, 18), (DType::F32, 18)] {
            for at in 0..32 {
                let end = |bit: u32, ends: [f64; 2]| ends[usize::from(at >> bit & 1 == 1)];
                let settings = EdmSampler {
                    num_steps,
                    sigma_min: end(0, [1e-6, 0.0009]),
                    sigma_max: end(1, [0.001, 1e4]),
                    rho: end(2, [1.0, 100.0]),
                    s_churn: end(3, [0.0, 1e6]),
                    s_noise: end(4, [0.0, 2.0]),
                    ..EdmSampler::default()
                };
                let heun = Heun { precision, ..heun(&settings) };
                let images = values(heun.sample(latents(1), &mut gaussian, &mut |_| latents(1)));
                assert!(images.iter().all(|x| x.is_finite() && x.abs() < 1e5), "{settings:?}");
            }
        }
    }

    #[test]
    fn the_number_of_evaluations_is_2n_minus_1() {
        for n in [1, 2, 18] {
            let mut calls = 0;
            let mut denoise = |x: Tensor<4>, sigma: f64| {
                calls += 1;
                assert!(sigma > 0.0);
                gaussian(x, sigma)
            };
            heun(&steps(n)).sample(latents(1), &mut denoise, &mut |_| unreachable!());
            assert_eq!(calls, 2 * n - 1);
        }
    }

    #[test]
    fn churn_keeps_the_distribution() {
        // Fresh noise is removed again: the samples' moments stay those of the data.
        let churn = EdmSampler { s_churn: 40.0, s_min: 0.05, s_max: Some(50.0), ..steps(40) };
        let n = 64;
        let draw = crate::seed::Seed(1).at(crate::seed::Phase::Sample, 0);
        let normals = |what: String| {
            let values = draw.purpose(&what).normals(0..n as u64, 64);
            Tensor::<4>::from_data(TensorData::new(values, [n, 1, 8, 8]), &Device::flex())
        };
        let mut drawn = 0;
        let mut noise = |i: usize| {
            drawn += 1;
            normals(format!("step {i}"))
        };
        let x = values(heun(&churn).sample(normals("z".into()), &mut gaussian, &mut noise));
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let std = (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt();
        assert!(drawn > 10 && drawn < 40);
        assert!((mean - 0.3).abs() < 0.03, "mean {mean}");
        assert!((std - 0.5).abs() < 0.03, "std {std}");
    }
}
