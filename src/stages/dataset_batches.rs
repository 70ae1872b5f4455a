//! What trainers read of a dataset, in an order that depends on the count of images alone.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    Result,
    data::{Batch, Batches, ImageDataset, Order, OrderOptions},
    diffusion::Codec,
    seed::{Draw, Seed},
};

/// An endless stream of batches.
pub(super) struct DatasetBatches {
    batches: Batches,
    device: Device,
    label_dim: usize,
}

impl DatasetBatches {
    /// Batches of `size` samples, the first `skip` samples of the order left out: they were seen before.
    /// A network with no classes, `label_dim` 0, sees no labels.
    pub(super) fn new(
        dataset: &Arc<ImageDataset>,
        seed: Seed,
        skip: u64,
        size: usize,
        label_dim: usize,
        device: &Device,
    ) -> Result<Self> {
        let options = OrderOptions::new(dataset.len(), (seed.0 & 0x7fff_ffff) as i64);
        let order = Order::edm(options)?.skip_samples(skip);
        let batches = Batches::start(Arc::clone(dataset), order, size)?;
        Ok(Self { batches, device: device.clone().without_autodiff(), label_dim })
    }

    /// The next samples.
    pub(super) fn next(&mut self) -> Result<Batch> {
        self.batches.next_batch()
    }

    /// One-hot classes, as far as the network knows classes. `[n, classes]`
    pub(super) fn labels(&self, batch: &Batch) -> Option<Tensor<2>> {
        if self.label_dim == 0 { None } else { batch.labels(&self.device) }
    }

    /// Images in the network's range, latents drawn from their distribution. `samples` counts within the whole batch.
    pub(super) fn images(
        &self,
        batch: &Batch,
        codec: &Codec,
        draw: Draw,
        samples: std::ops::Range<u64>,
    ) -> Option<Tensor<4>> {
        let raw = batch.raw(&self.device)?;
        let [n, c, h, w] = raw.dims();
        let eps = || {
            let values = draw.purpose("latents").normals(samples, c / 2 * h * w);
            Tensor::from_data(TensorData::new(values, [n, c / 2, h, w]), &self.device)
        };
        Some(codec.encode_final(raw, eps))
    }
}

/// Classes drawn evenly, for a distillation without any dataset. `[n, classes]`
pub(super) fn even_labels(
    draw: Draw,
    samples: std::ops::Range<u64>,
    classes: usize,
    device: &Device,
) -> Tensor<2> {
    let uniforms = draw.purpose("classes").uniforms(samples, 1);
    let mut rows = vec![0.0f32; uniforms.len() * classes];
    for (row, uniform) in rows.chunks_mut(classes).zip(&uniforms) {
        row[((f64::from(*uniform) * classes as f64) as usize).min(classes - 1)] = 1.0;
    }
    Tensor::from_data(TensorData::new(rows, [uniforms.len(), classes]), device)
}
