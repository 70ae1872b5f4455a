//! `Scoring`: all metrics of one set of generated images, from one pass over them.

use std::path::PathBuf;

use burn::tensor::{DType, Device, Tensor, TensorData};
use indexmap::{IndexMap, IndexSet};

use super::context::Context;
use crate::{
    Error, Result,
    data::ImageDataset,
    metrics::{Detect, DetectorName, Keep, Metric, Observed, Pixels, RandomConv, Statistics},
    seed::Draw,
};

/// Real images through a detector at once.
const BATCH: usize = 64;

/// What generated images are compared with.
#[derive(Default)]
pub(super) struct RealImages {
    /// Real images.
    pub(super) dataset: Option<std::sync::Arc<ImageDataset>>,
    /// Published statistics, for metrics that need no more; they come first.
    pub(super) statistics: Option<Statistics>,
}

/// What was seen of images: by the detector that saw them, and how many of them were for it to see.
type Views = IndexMap<(DetectorName, usize), Observed>;

/// Measures networks against one set of real images; what was seen of the real images is kept for the next network.
pub(super) struct Scoring<'a> {
    metrics: &'a [Metric],
    real_images: RealImages,
    detectors: IndexMap<DetectorName, Box<dyn Detect>>,
    real: Views,
    inception: Option<PathBuf>,
    device: Device,
}

impl<'a> Scoring<'a> {
    /// Looks at nothing yet; `context` says where Inception's weights are, should they be needed.
    pub(super) fn new(metrics: &'a [Metric], real_images: RealImages, context: &Context<'_>) -> Result<Self> {
        let needs_inception = metrics.iter().any(|metric| metric.needs().detector == DetectorName::Inception);
        let inception = if needs_inception { Some(super::inception_weights::find(context)?) } else { None };
        Ok(Self {
            metrics,
            real_images,
            detectors: IndexMap::new(),
            real: Views::new(),
            inception,
            device: context.device.clone(),
        })
    }

    /// How many generated images the metrics need.
    pub(super) fn images(&self) -> usize {
        self.metrics.iter().map(|metric| metric.needs().generated).max().unwrap_or(0)
    }

    /// The values of all metrics. `make` gives the images of a range, at most `batch` of them, u8 `[n, c, h, w]`;
    /// `each` hears how many have been measured.
    pub(super) fn measure(
        &mut self,
        batch: usize,
        draw: Draw,
        mut make: impl FnMut(std::ops::Range<usize>) -> Result<TensorData>,
        mut each: impl FnMut(usize) -> Result<()>,
    ) -> Result<IndexMap<String, f64>> {
        let mut keeps: IndexMap<_, Keep> = IndexMap::new();
        for needs in self.metrics.iter().map(Metric::needs) {
            let keep = keeps.entry((needs.detector, needs.generated)).or_default();
            *keep = keep.or(needs.keep);
        }
        let mut views: Views = keeps.into_iter().map(|(of, keep)| (of, Observed::new(keep))).collect();
        let total = self.images();
        let mut done = 0;
        while done < total {
            let end = (done + batch.max(1)).min(total);
            let images = make(done..end)?.convert::<f32>();
            let images = Tensor::from_data(images, (&self.device, DType::F32));
            self.look(&mut views, &images, done)?;
            done = end;
            each(done)?;
        }
        self.values(&views, draw)
    }

    fn look(&mut self, views: &mut Views, images: &Tensor<4>, done: usize) -> Result<()> {
        let n = images.dims()[0];
        let open = |(_, wanted): &(DetectorName, usize)| *wanted > done;
        let names: IndexSet<_> = views.keys().filter(|of| open(of)).map(|(name, _)| *name).collect();
        for name in names {
            let seen = self.detector(name, images)?.detect(images.clone())?;
            for (of, view) in views.iter_mut().filter(|(of, _)| of.0 == name && open(of)) {
                view.add(seen.first(n.min(of.1 - done)))?;
            }
        }
        Ok(())
    }

    fn values(&mut self, views: &Views, draw: Draw) -> Result<IndexMap<String, f64>> {
        let mut values = IndexMap::new();
        for metric in self.metrics {
            let needs = metric.needs();
            let real = self.real(metric)?;
            values.extend(metric.measure(&views[&(needs.detector, needs.generated)], real, draw)?);
        }
        Ok(values)
    }

    /// What is known of the real images for a metric.
    fn real(&mut self, metric: &Metric) -> Result<&Observed> {
        let needs = metric.needs();
        let key = (needs.detector, needs.max_real);
        if !self.real.contains_key(&key) {
            let observed = match &self.real_images {
                _ if !needs.real_images() => Observed::new(Keep::default()),
                RealImages { statistics: Some(statistics), .. } if needs.statistics_suffice() => {
                    Observed::given(statistics.clone())
                }
                RealImages { dataset: Some(dataset), .. } => {
                    let same = |m: &&Metric| m.needs().detector == key.0 && m.needs().max_real == key.1;
                    let keep = self.metrics.iter().filter(same).map(|m| m.needs().keep_real);
                    let keep = keep.fold(Keep::default(), Keep::or);
                    let dataset = std::sync::Arc::clone(dataset);
                    self.observe(&dataset, needs.detector, keep, needs.max_real)?
                }
                RealImages { dataset: None, .. } => {
                    return Err(Error::Unusable(format!(
                        "`{}` compares with real images: give `reference` or `statistics`",
                        metric.names()[0]
                    )));
                }
            };
            self.real.insert(key, observed);
        }
        Ok(&self.real[&key])
    }

    fn observe(
        &mut self,
        dataset: &ImageDataset,
        name: DetectorName,
        keep: Keep,
        most: usize,
    ) -> Result<Observed> {
        let mut seen = Observed::new(keep);
        let count = dataset.len().min(most);
        for start in (0..count).step_by(BATCH) {
            let indices: Vec<usize> = (start..(start + BATCH).min(count)).collect();
            let batch = dataset.batch(&indices)?;
            let images = batch.raw(&self.device).ok_or_else(|| {
                Error::Unusable(format!("`{}` holds no images to compare with", dataset.name()))
            })?;
            let detected = self.detector(name, &images)?.detect(images.clone())?;
            seen.add(detected)?;
        }
        Ok(seen)
    }

    fn detector(&mut self, name: DetectorName, images: &Tensor<4>) -> Result<&dyn Detect> {
        if !self.detectors.contains_key(&name) {
            let [_, channels, height, width] = images.dims();
            let detector: Box<dyn Detect> = match name {
                DetectorName::Pixels => Box::new(Pixels),
                DetectorName::RandomConv => Box::new(RandomConv::new(channels, height, width, &self.device)),
                DetectorName::Inception => {
                    let path = self.inception.as_deref().expect("found when a metric needs it");
                    super::inception_weights::load(path, &self.device)?
                }
            };
            self.detectors.insert(name, detector);
        }
        Ok(self.detectors[&name].as_ref())
    }
}
