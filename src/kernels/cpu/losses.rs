//! Losses of images, value by value. Every operation is rounded, as if it stood alone.

use super::samples::by_sample;

/// `(denoised - clean)^2 * weight`, with a weight for every sample.
pub fn squared_error(clean: &[f32], denoised: &[f32], weights: &[f32], out: &mut [f32]) {
    by_sample([clean, denoised], out, weights.len(), |sample, [clean, denoised], out| {
        let weight = weights[sample];
        for ((out, clean), denoised) in out.iter_mut().zip(clean).zip(denoised) {
            let error = denoised - clean;
            *out = error * error * weight;
        }
    });
}

/// The gradient to `denoised`; that to `clean` is its negative.
pub fn squared_error_gradient(
    gradient: &[f32],
    clean: &[f32],
    denoised: &[f32],
    weights: &[f32],
    out: &mut [f32],
) {
    by_sample([gradient, clean, denoised], out, weights.len(), |sample, [gradient, clean, denoised], out| {
        let weight = weights[sample];
        for (((out, gradient), clean), denoised) in out.iter_mut().zip(gradient).zip(clean).zip(denoised) {
            *out = gradient * weight * (denoised - clean) * 2.0;
        }
    });
}

/// What the score identity compares: the generator's images, and the opinions of the teacher and of the fake score network.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The generator's images.
    pub generated: &'a [f32],
    /// What the teacher makes of them.
    pub real: &'a [f32],
    /// What the fake score network makes of them.
    pub fake: &'a [f32],
    /// What the loss of every sample is divided by.
    pub divisors: &'a [f32],
    /// Weight of the gap's square.
    pub alpha: f32,
}

/// `gap (real - generated - alpha gap) / divisor`, where the gap is `real - fake`.
pub fn score_identity(of: Identity, out: &mut [f32]) {
    let Identity { generated, real, fake, divisors, alpha } = of;
    by_sample([generated, real, fake], out, divisors.len(), |sample, [generated, real, fake], out| {
        let divisor = divisors[sample];
        for (((out, generated), real), fake) in out.iter_mut().zip(generated).zip(real).zip(fake) {
            let gap = real - fake;
            *out = gap * ((real - generated) - gap * alpha) / divisor;
        }
    });
}

/// To which of the three a gradient goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The generator's images.
    Generated,
    /// The teacher's opinion.
    Real,
    /// The fake score network's.
    Fake,
}

/// The gradient to one of the three.
pub fn score_identity_gradient(to: To, of: Identity, gradient: &[f32], out: &mut [f32]) {
    let Identity { generated, real, fake, divisors, alpha } = of;
    let inputs = [gradient, generated, real, fake];
    by_sample(inputs, out, divisors.len(), |sample, [gradient, generated, real, fake], out| {
        let reciprocal = 1.0 / divisors[sample];
        let values = out.iter_mut().zip(gradient).zip(generated).zip(real).zip(fake);
        for ((((out, gradient), generated), real), fake) in values {
            let (gap, passed) = (real - fake, gradient * reciprocal);
            let to_rest = passed * gap;
            let to_gap = passed * ((real - generated) - gap * alpha) - to_rest * alpha;
            *out = match to {
                To::Generated => -to_rest,
                To::Real => to_gap + to_rest,
                To::Fake => -to_gap,
            };
        }
    });
}
