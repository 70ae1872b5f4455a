//! `Batch` and `Batches`: samples with their labels, gathered ahead by a thread.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use burn::tensor::{Device, Tensor, TensorData};

use crate::{Error, Result, data::image_dataset::ImageDataset, kernels};

/// The samples of a batch, side by side.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// 8-bit images, `[n, c, h, w]`.
    Images(Vec<u8>),
    /// Moments of latents, `[n, mean | std, h, w]`.
    RawLatents(Vec<f32>),
    /// The dataset has labels only.
    Nothing,
}

/// Some samples of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// What the samples are.
    pub samples: Samples,
    /// Their numbers in the dataset.
    pub indices: Vec<usize>,
    /// Their classes, if the dataset has labels.
    pub classes: Option<Vec<u32>>,
    pub(in crate::data) shape: [usize; 3],
    pub(in crate::data) label_dim: usize,
}

impl Batch {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Images as they are stored, `[n, c, h, w]` from 0 to 255, or raw latents; `None` where there are only labels.
    pub fn raw(&self, device: &Device) -> Option<Tensor<4>> {
        let [c, h, w] = self.shape;
        let dims = [self.len(), c, h, w];
        match &self.samples {
            Samples::Images(bytes) => Some(kernels::from_bytes(bytes, dims, device)),
            Samples::RawLatents(values) => {
                Some(Tensor::from_data(TensorData::new(values.clone(), dims), device))
            }
            Samples::Nothing => None,
        }
    }

    /// One-hot labels, `[n, label_dim]`; `None` where the dataset has none.
    pub fn labels(&self, device: &Device) -> Option<Tensor<2>> {
        let classes = self.classes.as_ref().filter(|_| self.label_dim > 0)?;
        Some(kernels::one_hot(classes, self.label_dim, device))
    }
}

/// How many batches wait for their reader.
const AHEAD: usize = 3;

/// An endless stream of batches in a given order, read ahead by a thread of its own. The same order gives the
/// same batches, however fast they are taken.
pub struct Batches(Receiver<Result<Batch>>);

impl Batches {
    /// Starts reading: batches of `batch_size` samples along `order`.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn start(
        dataset: Arc<ImageDataset>,
        mut order: impl Iterator<Item = usize> + Send + 'static,
        batch_size: usize,
    ) -> Result<Self> {
        let (sender, receiver) = sync_channel(AHEAD);
        let read = move || {
            loop {
                let indices: Vec<usize> = order.by_ref().take(batch_size).collect();
                let batch = dataset.batch(&indices);
                let failed = batch.is_err();
                // The reader is gone, or must learn that there will be no more.
                if sender.send(batch).is_err() || failed {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("batches".to_owned())
            .spawn(read)
            .map_err(|e| Error::Unusable(format!("cannot start a thread to read batches: {e}")))?;
        Ok(Self(receiver))
    }

    /// The next batch.
    ///
    /// # Errors
    /// Where an image cannot be read any more.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let gone = || Error::Unusable("the dataset could not be read; there are no more batches".to_owned());
        self.0.recv().unwrap_or_else(|_| Err(gone()))
    }
}
