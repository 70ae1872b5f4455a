//! Noise levels: how sigma is drawn while training, and the schedule that samplers and the generator's loss walk.

use burn::tensor::Tensor;

use crate::kernels;

/// The log-normal distribution of noise levels in denoising training (EDM, Table 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogNormal {
    /// Mean of ln sigma.
    pub p_mean: f64,
    /// Standard deviation of ln sigma.
    pub p_std: f64,
}

impl LogNormal {
    /// The noise level that a standard normal stands for.
    pub fn sigma(&self, normal: f64) -> f64 {
        (normal * self.p_std + self.p_mean).exp()
    }

    /// The noise levels that standard normals stand for, where these are; devices agree to a millionth. `[n, 1, 1, 1]`
    pub fn levels(&self, normals: Tensor<4>) -> Tensor<4> {
        kernels::exponential(normals, self.p_std, self.p_mean)
    }
}

/// The warped schedule of noise levels (EDM, Eq. 5): evenly spaced in `sigma^(1 / rho)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RhoSchedule {
    /// Where the schedule ends.
    pub sigma_min: f64,
    /// Where it starts.
    pub sigma_max: f64,
    /// Its exponent; larger means more steps at small noise.
    pub rho: f64,
}

/// The schedule under which the generator is judged. Its range is part of SiD.
pub const JUDGED: RhoSchedule = RhoSchedule { sigma_min: 0.002, sigma_max: 80.0, rho: 7.0 };

impl RhoSchedule {
    /// The noise level at a fraction of the way: `sigma_max` at 0, `sigma_min` at 1.
    pub fn at(&self, fraction: f64) -> f64 {
        let root = |sigma: f64| sigma.powf(1.0 / self.rho);
        (root(self.sigma_max) + fraction * (root(self.sigma_min) - root(self.sigma_max))).powf(self.rho)
    }

    /// The noise levels of `num_steps` steps, followed by 0.
    pub fn time_steps(&self, num_steps: usize) -> Vec<f64> {
        let last = (num_steps.max(2) - 1) as f64;
        (0..num_steps).map(|i| self.at(i as f64 / last)).chain([0.0]).collect()
    }

    /// The noise level at which a generator is judged: t = uniform * tmax / 1000, from `sigma_min` at t = 0 up.
    pub fn up_to(&self, tmax: u32, uniform: f64) -> f64 {
        self.at(1.0 - uniform * f64::from(tmax) / 1000.0)
    }

    /// The same for many uniforms, where these are; devices agree to a millionth. The exponent has to be whole. `[n, 1, 1, 1]`
    pub fn levels_up_to(&self, tmax: u32, uniforms: Tensor<4>) -> Tensor<4> {
        let [low, high] = [0.0, 1.0].map(|uniform| self.up_to(tmax, uniform).powf(1.0 / self.rho));
        kernels::power(uniforms, high - low, low, self.rho as u32)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-12 * b.abs(), "{a} is not {b}");
    }

    #[test]
    fn the_schedule_ends_where_it_says() {
        let steps = JUDGED.time_steps(18);
        assert_eq!(steps.len(), 19);
        close(steps[0], 80.0);
        close(steps[17], 0.002);
        assert!(steps.windows(2).all(|w| w[0] > w[1]));
        assert_eq!(steps[18].to_bits(), 0f64.to_bits());
    }

    #[test]
    fn tmax_1000_reaches_the_largest_level_and_0_stays_at_the_smallest() {
        close(JUDGED.up_to(1000, 1.0), 80.0);
        close(JUDGED.up_to(1000, 0.0), 0.002);
        close(JUDGED.up_to(0, 0.7), 0.002);
        close(JUDGED.up_to(800, 0.5), JUDGED.at(0.6));
    }

    #[test]
    fn the_median_of_the_log_normal_is_exp_p_mean() {
        let levels = LogNormal { p_mean: -1.2, p_std: 1.2 };
        close(levels.sigma(0.0), (-1.2f64).exp());
        close(levels.sigma(1.0) / levels.sigma(0.0), 1.2f64.exp());
    }

    /// At the ends of the ranges that the language gives it, and six standard deviations out, which one draw of 10^9 passes.
    #[test]
    fn levels_are_within_f32_with_their_squares() {
        for p_mean in [-10.0, 10.0] {
            for normal in [-6.0, 6.0] {
                let level = LogNormal { p_mean, p_std: 5.0 }.sigma(normal) as f32;
                assert!((level * level).is_normal(), "{level}");
            }
        }
    }

    /// Levels of many draws, from one end to the other, against those of each.
    fn right(ends: [f64; 2], levels: impl Fn(Tensor<4>) -> Tensor<4>, level: impl Fn(f64) -> f64) {
        const COUNT: usize = 10_000;
        let draw = |i: usize| (ends[0] + (ends[1] - ends[0]) * i as f64 / COUNT as f64) as f32;
        let draws: Vec<f32> = (0..COUNT).map(draw).collect();
        let tensor = Tensor::from_data(TensorData::new(draws.clone(), [COUNT, 1, 1, 1]), &Device::flex());
        let found = levels(tensor).into_data().try_into_vec::<f32>().unwrap();
        for (found, draw) in found.into_iter().zip(draws) {
            let level = level(f64::from(draw));
            assert!((f64::from(found) / level - 1.0).abs() < 1e-6, "{draw}: {found}, not {level}");
        }
    }

    #[test]
    fn levels_of_many_draws_are_those_of_each() {
        for levels in [LogNormal { p_mean: -1.2, p_std: 1.2 }, LogNormal { p_mean: -0.4, p_std: 1.0 }] {
            right([-6.7, 6.7], |z| levels.levels(z), |z| levels.sigma(z));
        }
        for tmax in [0, 1, 700, 800, 1000] {
            right([0.0, 1.0], |u| JUDGED.levels_up_to(tmax, u), |u| JUDGED.up_to(tmax, u));
        }
    }
}
