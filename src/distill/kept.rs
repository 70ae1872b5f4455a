//! `Kept`: which samples of a micro-batch take part in its losses; those with a NaN do not.

use burn::tensor::Tensor;

use crate::kernels;

/// The samples without a NaN.
///
/// Dropping is masking: shapes stay, a dropped sample's values become 0 before any arithmetic, so that its
/// gradient is exactly 0, and means count the others only. Nothing is read back to the host for it.
#[derive(Clone, Debug)]
pub struct Kept {
    dropped: Tensor<4>,
}

impl Kept {
    /// Judges samples by all that the networks said about them. Each `[n, ..]`
    pub fn judge<'a>(tensors: impl IntoIterator<Item = &'a Tensor<4>>) -> Self {
        Self { dropped: kernels::have_nan(tensors) }
    }

    /// The values with those of dropped samples set to 0. `[n, c, h, w]` => `[n, c, h, w]`
    #[must_use]
    pub fn only(&self, values: Tensor<4>) -> Tensor<4> {
        kernels::only(values, &self.dropped)
    }

    /// The mean over the values of kept samples; 0 where none is kept. `[n, c, h, w]` => `[1, 1, 1, 1]`
    pub fn mean(&self, values: Tensor<4>) -> Tensor<4> {
        let [n, c, h, w] = values.dims();
        let count = (-self.count_dropped() + n as f64) * (c * h * w) as f64;
        let sum = kernels::total(self.only(values));
        (sum / count.clamp_min(1.0)).reshape([1, 1, 1, 1])
    }

    /// How many samples were dropped. `[1]`
    pub fn count_dropped(&self) -> Tensor<1> {
        self.dropped.clone().sum()
    }

    /// 1 for every dropped sample, 0 for the others. `[n, 1, 1, 1]`
    pub fn dropped(&self) -> Tensor<4> {
        self.dropped.clone()
    }
}
