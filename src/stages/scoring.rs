//! `Scoring`: all metrics of one set of generated images, from one pass over them.

use std::{path::PathBuf, sync::Arc};

use burn::tensor::{DType, Device, Tensor, TensorData};
use indexmap::{IndexMap, IndexSet};

use super::{context::Context, dataset_file, inception_weights};
use crate::{
    Error, Result,
    data::ImageDataset,
    location::Location,
    metrics::{Detect, DetectorName, Keep, Metric, Needs, Observed, Pixels, RandomConv, Statistics},
    seed::Draw,
    stage_name::StageName,
};

/// Real images through a detector at once.
const BATCH: usize = 64;

/// What generated images are compared with.
#[derive(Default)]
pub(super) struct RealImages {
    /// Real images.
    pub(super) dataset: Option<Arc<ImageDataset>>,
    /// Published statistics, for metrics that need no more; they come first.
    pub(super) statistics: Option<Statistics>,
}

impl RealImages {
    /// Those of a stage that makes a dataset, and those that a file of statistics stands for.
    pub(super) fn open(
        reference: Option<&StageName>,
        statistics: Option<&Location>,
        context: &Context<'_>,
    ) -> Result<Self> {
        let dataset = reference.map(|name| dataset_file::open(context, name)).transpose()?;
        let statistics = statistics.map(|location| Statistics::open(&context.fetch(location, None)?));
        Ok(Self { dataset, statistics: statistics.transpose()? })
    }
}

/// How many generated images metrics need.
pub(super) fn images(metrics: &[Metric]) -> usize {
    metrics.iter().map(|metric| metric.needs().generated).max().unwrap_or(0)
}

/// What was seen of images: by the detector that saw them, and how many of them were for it to see.
type Views = IndexMap<(DetectorName, usize), Observed>;

/// Measures networks against one set of real images; what was seen of the real images is kept for the next network.
pub(super) struct Scoring<'a> {
    metrics: &'a [Metric],
    dataset: Option<Arc<ImageDataset>>,
    /// What published statistics say of the real images.
    given: Option<Observed>,
    /// For metrics that compare with nothing.
    nothing: Observed,
    detectors: IndexMap<DetectorName, Box<dyn Detect>>,
    real: Views,
    inception: Option<PathBuf>,
    device: Device,
}

impl<'a> Scoring<'a> {
    /// Looks at nothing yet; `context` says where Inception's weights are, should they be needed.
    pub(super) fn new(metrics: &'a [Metric], real_images: RealImages, context: &Context<'_>) -> Result<Self> {
        let inception = inception_weights::needed(metrics).map(|_| inception_weights::find(context));
        Ok(Self {
            metrics,
            dataset: real_images.dataset,
            given: real_images.statistics.map(Observed::given),
            nothing: Observed::new(Keep::default()),
            detectors: IndexMap::new(),
            real: Views::new(),
            inception: inception.transpose()?,
            device: context.device.clone(),
        })
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
        let total = images(self.metrics);
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

    /// What is known of the real images for a metric; they are looked at where nothing is known yet.
    fn real(&mut self, metric: &Metric) -> Result<&Observed> {
        let needs = metric.needs();
        if self.known(&needs).is_none() {
            let (Some(dataset), Some(key)) = (self.dataset.clone(), self.looked_at(&needs)) else {
                return Err(Error::Unusable(format!(
                    "`{}` compares with real images: give `reference` or `statistics`",
                    metric.names()[0]
                )));
            };
            let same = |other: &Needs| self.known(other).is_none() && self.looked_at(other) == Some(key);
            let keep = self.metrics.iter().map(Metric::needs).filter(same).map(|needs| needs.keep_real);
            let keep = keep.fold(Keep::default(), Keep::or);
            let observed = self.observe(&dataset, key, keep)?;
            self.real.insert(key, observed);
        }
        Ok(self.known(&needs).expect("observed above"))
    }

    /// What is known already of the real images.
    fn known(&self, needs: &Needs) -> Option<&Observed> {
        if !needs.real_images() {
            return Some(&self.nothing);
        }
        match &self.given {
            Some(given) if needs.statistics_suffice() => Some(given),
            _ => self.real.get(&self.looked_at(needs)?),
        }
    }

    /// Which detector looks at how many real images.
    fn looked_at(&self, needs: &Needs) -> Option<(DetectorName, usize)> {
        Some((needs.detector, self.dataset.as_ref()?.len().min(needs.max_real)))
    }

    fn observe(
        &mut self,
        dataset: &ImageDataset,
        (name, count): (DetectorName, usize),
        keep: Keep,
    ) -> Result<Observed> {
        let mut seen = Observed::new(keep);
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
                    inception_weights::load(path, &self.device)?
                }
            };
            self.detectors.insert(name, detector);
        }
        Ok(self.detectors[&name].as_ref())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        data::DatasetOptions,
        metrics::Detected,
        seed::{Phase, Seed},
    };

    /// Sees pixels, and one of two classes by the brightness of the first row.
    struct Classifier;

    impl Detect for Classifier {
        fn detect(&self, images: Tensor<4>) -> Result<Detected> {
            let features = Pixels.detect(images)?.features;
            let bright = features.clone().narrow(1, 0, 8).mean_dim(1).greater_elem(0.0).float();
            let dark = bright.clone().neg().add_scalar(1.0);
            Ok(Detected { features, probabilities: Some(Tensor::cat(vec![bright, dark], 1)) })
        }
    }

    /// Scores of the digits themselves, in another order.
    fn scores(metrics: &str) -> IndexMap<String, f64> {
        let metrics: Vec<Metric> = serde_json::from_str(metrics).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/digits-8x8.zip");
        let options = DatasetOptions { max_size: Some(200), ..DatasetOptions::default() };
        let dataset = Arc::new(ImageDataset::open(&path, &options).unwrap());
        let inception: Box<dyn Detect> = Box::new(Classifier);
        let mut scoring = Scoring {
            metrics: &metrics,
            dataset: Some(Arc::clone(&dataset)),
            given: None,
            nothing: Observed::new(Keep::default()),
            detectors: IndexMap::from([(DetectorName::Inception, inception)]),
            real: Views::new(),
            inception: None,
            device: Device::flex(),
        };
        let make = |range: std::ops::Range<usize>| {
            let bytes: Vec<u8> =
                range.clone().flat_map(|i| dataset.image(199 - i).unwrap().to_vec()).collect();
            Ok(TensorData::new(bytes, [range.len(), 1, 8, 8]))
        };
        scoring.measure(64, Seed(0).at(Phase::Sample, 0), make, |_| Ok(())).unwrap()
    }

    #[test]
    fn a_set_compared_with_itself() {
        let scores = scores(
            r#"[{"kid": {"detector": "random_conv", "images": 200}},
                {"precision_recall": {"detector": "random_conv", "images": 200}},
                {"frechet_distance": {"detector": "random_conv", "images": 200}}]"#,
        );
        assert!(scores["kid_random_conv_200"].abs() < 0.05, "{scores:?}");
        assert_eq!(scores["pr_random_conv_200_precision"], 1.0);
        assert_eq!(scores["pr_random_conv_200_recall"], 1.0);
        assert!(scores["fd_random_conv_200"].abs() < 1e-6, "{scores:?}");
    }

    /// What compares with nothing was once taken for what is known of the real images.
    #[test]
    fn metrics_may_stand_in_any_order() {
        let distance = r#"{"frechet_distance": {"detector": "inception", "images": 200}}"#;
        let score = r#"{"is": {"images": 100}}"#;
        let [one, other] =
            [(score, distance), (distance, score)].map(|(a, b)| scores(&format!("[{a}, {b}]")));
        assert!(one["fd_inception_200"].abs() < 1e-6, "{one:?}");
        assert!((1.0..=2.0).contains(&one["is_100"]), "{one:?}");
        for (name, value) in &one {
            assert_eq!(other[name], *value, "{name}");
        }
    }
}
