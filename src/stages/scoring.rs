//! `Scoring`: all metrics of one set of generated images, from one pass over them.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::{DType, Device, Tensor, TensorData};
use indexmap::{IndexMap, IndexSet};

use super::{
    context::Context,
    cost::{Meter, Seen, Task},
    dataset_file,
    detections::Detections,
    download::Wanted,
    inception_weights,
    turns::Turns,
};
use crate::{
    Error, Result,
    data::ImageDataset,
    location::Location,
    metrics::{Detect, DetectorName, Keep, Metric, Needs, Observed, Pixels, RandomConv, Statistics},
    ranks::Ranks,
    seed::Draw,
    stage_name::StageName,
    stop::Stop,
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
        let open = |location| Statistics::open(&context.fetch(&self::statistics("statistics", location))?);
        let statistics = statistics.map(open);
        Ok(Self { dataset, statistics: statistics.transpose()? })
    }
}

/// A file of statistics that the field `field` names.
pub(super) fn statistics<'a>(field: &str, location: &'a Location) -> Wanted<'a> {
    Wanted::new(field, location, |path: &Path| Statistics::open(path).map(drop))
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
    ranks: Ranks,
    stop: Stop,
    meters: IndexMap<DetectorName, (Meter, Task)>,
    seen: Seen,
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
            ranks: context.ranks.clone(),
            stop: context.stop.clone(),
            meters: IndexMap::new(),
            seen: Seen::by(context),
        })
    }

    /// The values of all metrics. `make` gives the images of a range, at most `batch` of them, u8 `[n, c, h, w]`;
    /// `each` hears how many have been measured.
    pub(super) fn measure(
        &mut self,
        batch: usize,
        draw: Draw,
        mut make: impl FnMut(Range<usize>) -> Result<TensorData>,
        each: impl FnMut(usize),
    ) -> Result<IndexMap<String, f64>> {
        let mut keeps: IndexMap<_, Keep> = IndexMap::new();
        for needs in self.metrics.iter().map(Metric::needs) {
            let keep = keeps.entry((needs.detector, needs.generated)).or_default();
            *keep = keep.or(needs.keep);
        }
        let mut views: Views = keeps.into_iter().map(|(of, keep)| (of, Observed::new(keep))).collect();
        let keys: Vec<_> = views.keys().copied().collect();
        let (ranks, stop) = (self.ranks.clone(), self.stop.clone());
        let turns = Turns { total: images(self.metrics), chunk: batch, stop: &stop };
        let detect = |range: Range<usize>| {
            let open = keys.iter().filter(|(_, wanted)| *wanted > range.start);
            let names: IndexSet<_> = open.map(|(name, _)| *name).collect();
            let images = make(range)?.convert::<f32>();
            let images = Tensor::from_data(images, (&self.device, DType::F32));
            self.detections(names, &images)
        };
        let add = |range: Range<usize>, seen: Detections| {
            for (name, seen) in seen.0 {
                for (of, view) in views.iter_mut().filter(|(of, _)| of.0 == name && of.1 > range.start) {
                    view.add(seen.first(range.len().min(of.1 - range.start)))?;
                }
            }
            Ok(())
        };
        turns.go(&ranks, detect, add, each)?;
        let values = self.values(&views, draw)?;
        self.meters.values_mut().for_each(|(meter, task)| meter.keep(task, &self.seen));
        Ok(values)
    }

    fn detections(
        &mut self,
        names: impl IntoIterator<Item = DetectorName>,
        images: &Tensor<4>,
    ) -> Result<Detections> {
        let [n, channels, _, side] = images.dims();
        let mut seen = Vec::new();
        for name in names {
            let task = || Task::Detection { detector: name, shape: [channels, side] };
            let (mut meter, task) =
                self.meters.shift_remove(&name).unwrap_or_else(|| (Meter::default(), task()));
            let detector = self.detector(name, images)?;
            let detected = meter.time(n, || {
                let detected = detector.detect(images.clone());
                // What may go wrong is said by whoever reads the features.
                let _ = images.device().sync();
                detected
            })?;
            self.meters.insert(name, (meter, task));
            seen.push((name, detected));
        }
        Ok(Detections(seen))
    }

    fn values(&mut self, views: &Views, draw: Draw) -> Result<IndexMap<String, f64>> {
        for metric in self.metrics {
            self.look_at_real(&metric.needs(), metric)?;
        }
        // Bits: what is not finite has no JSON.
        let measured = self.ranks.first(|| {
            let mut values: Vec<(String, u64)> = Vec::new();
            for metric in self.metrics {
                let needs = metric.needs();
                let real = self.known(&needs).expect("looked at above");
                let measured = metric.measure(&views[&(needs.detector, needs.generated)], real, draw)?;
                values.extend(measured.into_iter().map(|(name, value)| (name, value.to_bits())));
            }
            Ok(values)
        })?;
        Ok(measured.into_iter().map(|(name, bits)| (name, f64::from_bits(bits))).collect())
    }

    /// Looks at the real images for a metric, where nothing is known of them yet.
    fn look_at_real(&mut self, needs: &Needs, metric: &Metric) -> Result<()> {
        if self.known(needs).is_none() {
            let (Some(dataset), Some(key)) = (self.dataset.clone(), self.looked_at(needs)) else {
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
        Ok(())
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
        let mut observed = Observed::new(keep);
        let (ranks, stop) = (self.ranks.clone(), self.stop.clone());
        let detect = |range: Range<usize>| {
            let batch = dataset.batch(&range.collect::<Vec<_>>())?;
            let images = batch.raw(&self.device).ok_or_else(|| {
                Error::Unusable(format!("`{}` holds no images to compare with", dataset.name()))
            })?;
            self.detections([name], &images)
        };
        let add = |_, seen: Detections| seen.0.into_iter().try_for_each(|(_, seen)| observed.add(seen));
        Turns { total: count, chunk: BATCH, stop: &stop }.go(&ranks, detect, add, |_| ())?;
        Ok(observed)
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
            ranks: Ranks::alone(),
            stop: Stop::default(),
            meters: IndexMap::new(),
            seen: Seen::default(),
        };
        let make = |range: Range<usize>| {
            let bytes: Vec<u8> =
                range.clone().flat_map(|i| dataset.image(199 - i).unwrap().to_vec()).collect();
            Ok(TensorData::new(bytes, [range.len(), 1, 8, 8]))
        };
        scoring.measure(64, Seed(0).at(Phase::Sample, 0), make, |_| ()).unwrap()
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
