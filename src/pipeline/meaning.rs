//! What stages mean to each other: references, kinds, cycles, and rules between a network, its dataset and its metrics.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::{
    document::{Document, escape},
    facts::Facts,
    mistake::Mistake,
    suggestion::{advice, closest, listed},
};
use crate::{
    data::missing_labels,
    diffusion::Encoder,
    distill::Distill,
    location::{Location, Place},
    metrics::{DetectorName, Metric},
    nn::NetworkConfig,
    stage_name::StageName,
    stages::{
        Evaluate, Generate, Kind, Objection, PrepareDataset, Report, StageSpec, TrainTeacher,
        prepare_dataset::DatasetSource, rules,
    },
};

/// Images that the covariance of Inception's 2048 features needs.
const INCEPTION_IMAGES: u64 = 2048;

/// The stages of a document, as far as they could be read.
pub(super) struct Stages<'a> {
    pub(super) document: &'a Document,
    /// Every stage's verb, readable or not.
    pub(super) verbs: IndexMap<String, String>,
    /// Those that could be read.
    pub(super) specs: IndexMap<StageName, StageSpec>,
    /// Where relative paths are looked for.
    pub(super) search: &'a [PathBuf],
}

impl Stages<'_> {
    /// Everything that is wrong between stages and between their fields.
    pub(super) fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (name, spec) in &self.specs {
            let mut objections = spec.stage().check();
            objections.extend(self.references(name, spec));
            objections.extend(self.agreements(spec));
            objections.extend(locations(spec).into_iter().filter_map(unresolvable));
            mistakes.extend(objections.into_iter().map(|objection| self.mistake(name, spec, objection)));
        }
        mistakes.extend(self.cycles());
        mistakes
    }

    /// Only what is wrong with the references of a stage, for one whose other values are wrong already.
    pub(super) fn reference_mistakes(&self, name: &StageName, spec: &StageSpec) -> Vec<Mistake> {
        let objections = self.references(name, spec);
        objections.into_iter().map(|objection| self.mistake(name, spec, objection)).collect()
    }

    fn pointer(name: &StageName, spec: &StageSpec, field: &str) -> String {
        let stage = format!("/stages/{}/{}", escape(name.as_str()), spec.verb());
        if field.is_empty() { stage } else { format!("{stage}/{field}") }
    }

    fn mistake(&self, name: &StageName, spec: &StageSpec, objection: Objection) -> Mistake {
        let pointer = Self::pointer(name, spec, &objection.field);
        let whole =
            self.document.value.pointer(&pointer).is_some_and(|value| value.is_object() || value.is_array());
        let span = if whole { self.document.key_span(&pointer) } else { self.document.value_span(&pointer) };
        Mistake::new(self.document, span, &pointer, objection.problem).help(objection.help)
    }

    // ------------------------------------------------------------------ references

    fn references(&self, name: &StageName, spec: &StageSpec) -> Vec<Objection> {
        let mut objections = Vec::new();
        for input in spec.stage().inputs() {
            let wanted = input.stage.as_str();
            let fitting: Vec<&str> = self
                .verbs
                .iter()
                .filter(|(other, verb)| kind_of(verb) == Some(input.kind) && other.as_str() != name.as_str())
                .map(|(other, _)| other.as_str())
                .collect();
            let objection = match self.verbs.get(wanted) {
                None => {
                    let all: Vec<&str> = self.verbs.keys().map(String::as_str).collect();
                    let known =
                        if closest(wanted, fitting.iter().copied()).is_some() { &fitting } else { &all };
                    Objection {
                        help: advice(wanted, known),
                        ..Objection::new(input.field, format!("there is no stage `{wanted}`"))
                    }
                }
                Some(_) if wanted == name.as_str() => {
                    Objection::new(input.field, format!("stage `{wanted}` refers to itself"))
                }
                Some(verb) => match kind_of(verb) {
                    Some(kind) if kind != input.kind => {
                        let help = if fitting.is_empty() {
                            format!("no stage makes {}", input.kind)
                        } else {
                            format!(
                                "{} {} made by {}",
                                input.kind,
                                if input.kind == Kind::Images || input.kind == Kind::Scores {
                                    "are"
                                } else {
                                    "is"
                                },
                                listed(&fitting)
                            )
                        };
                        Objection::new(
                            input.field,
                            format!(
                                "`{wanted}` is a `{verb}` stage and makes {kind}, but {} is needed here",
                                input.kind
                            ),
                        )
                        .help(help)
                    }
                    _ => continue,
                },
            };
            objections.push(objection);
        }
        objections
    }

    fn cycles(&self) -> Vec<Mistake> {
        let mut finished: Vec<&StageName> = Vec::new();
        let mut mistakes = Vec::new();
        for name in self.specs.keys() {
            self.descend(name, &mut Vec::new(), &mut finished, &mut mistakes);
        }
        mistakes
    }

    fn descend<'b>(
        &'b self,
        name: &'b StageName,
        path: &mut Vec<&'b StageName>,
        finished: &mut Vec<&'b StageName>,
        mistakes: &mut Vec<Mistake>,
    ) {
        let Some((name, spec)) = self.specs.get_key_value(name) else { return };
        if finished.contains(&name) {
            return;
        }
        path.push(name);
        for input in spec.stage().inputs() {
            match path.iter().position(|on_path| *on_path == input.stage) {
                // A stage that refers to itself is said elsewhere.
                Some(_) if input.stage == name => {}
                Some(start) => {
                    let circle: Vec<&str> =
                        path[start..].iter().map(|n| n.as_str()).chain([input.stage.as_str()]).collect();
                    let objection = Objection::new(
                        input.field,
                        format!("stages wait for each other: {}", circle.join(" -> ")),
                    );
                    mistakes.push(self.mistake(name, spec, objection));
                }
                None => self.descend(input.stage, path, finished, mistakes),
            }
        }
        path.pop();
        finished.push(name);
    }

    // ------------------------------------------------------------------ agreements

    fn agreements(&self, spec: &StageSpec) -> Vec<Objection> {
        match spec {
            StageSpec::TrainTeacher(stage) => self.train_teacher(stage),
            StageSpec::Distill(stage) => self.distill(stage),
            StageSpec::Generate(stage) => self.generate(stage),
            StageSpec::Evaluate(stage) => self.evaluate(stage),
            StageSpec::Report(stage) => self.report(stage),
            StageSpec::PrepareDataset(stage) => self.prepare_dataset(stage).into_iter().collect(),
            StageSpec::LoadTeacher(_) => Vec::new(),
        }
    }

    /// Labels that are asked for and absent: a network would learn without classes, and nobody would know.
    fn prepare_dataset(&self, stage: &PrepareDataset) -> Option<Objection> {
        let DatasetSource::Edm(source) = &stage.source else { return None };
        let path = locate(&source.path, self.search)?;
        let absent = source.use_labels && Facts::of(stage, Some(&path)).label_dim == Some(0);
        let problem = missing_labels(&path).ok().filter(|_| absent)?;
        Some(
            Objection::new("source/edm/use_labels", format!("`use_labels` is true, but {problem}"))
                .help("write `use_labels: false`, or add the classes"),
        )
    }

    fn train_teacher(&self, stage: &TrainTeacher) -> Vec<Objection> {
        let Some(facts) = self.facts(&stage.dataset) else { return Vec::new() };
        let mut objections =
            network_and_dataset("dataset", &stage.network, &Encoder::Rgb, &stage.dataset, &facts, true);
        if !facts.has_images {
            objections.push(
                Objection::new(
                    "dataset",
                    format!("`{}` holds labels only, but a teacher learns from images", stage.dataset),
                )
                .help("use a `prepare_dataset` stage with images"),
            );
        }
        if let Some(snapshots) = &stage.snapshots {
            objections.extend(enough_images("snapshots/metrics", &snapshots.metrics, &stage.dataset, &facts));
        }
        objections
    }

    fn distill(&self, stage: &Distill) -> Vec<Objection> {
        let mut objections = Vec::new();
        let facts = stage.dataset.as_ref().and_then(|name| Some((name, self.facts(name)?)));
        if let Some((name, facts)) = &facts {
            if stage.method.terms().adversarial.is_some() && !facts.has_images {
                let method = stage.method.name();
                objections.push(
                    Objection::new(
                        "dataset",
                        format!("`{method}` judges against real images, but `{name}` holds labels only"),
                    )
                    .help("use a `prepare_dataset` stage with images, or the method `sid`"),
                );
            }
            objections.extend(enough_images("snapshots/metrics", &stage.snapshots.metrics, name, facts));
            let measured = stage.snapshots.metrics.iter().position(|metric| metric.needs().reference());
            if let Some(i) = measured.filter(|_| !facts.has_images) {
                let metric = &stage.snapshots.metrics[i].names()[0];
                objections.push(
                    Objection::new(
                        format!("snapshots/metrics/{i}"),
                        format!("`{metric}` compares with real images, but `{name}` holds labels only"),
                    )
                    .help("measure in an `evaluate` stage with precomputed `statistics:` instead"),
                );
            }
        }
        let Some(network) = self.network(&stage.teacher) else { return objections };
        let encoder = self.encoder(&stage.teacher);
        if let Some((name, facts)) = &facts {
            let needs_labels = network.label_dim() > 0;
            objections.extend(network_and_dataset("dataset", &network, &encoder, name, facts, needs_labels));
        } else if network.label_dim() > 0 && stage.dataset.is_none() {
            objections.push(
                Objection::new(
                    "",
                    format!(
                        "the teacher knows {} classes, but there is no `dataset` to draw them from",
                        network.label_dim()
                    ),
                )
                .help("name a `prepare_dataset` stage in `dataset:`; its `labels` source needs no images"),
            );
        }
        objections.extend(rules::augmentation(stage.augment, &network));
        if stage.edm2.is_some() && !network.is_edm2() {
            objections.push(
                Objection::new("edm2", "`edm2` is for EDM2 networks, and the teacher is none")
                    .help("leave it out"),
            );
        }
        if let Some(initial) = stage.method.terms().initial_generator
            && let Some(generator) = self.network(initial)
            && let Some(what) = difference(&network, &generator)
        {
            objections.push(
                Objection::new(
                    "method/sid2a/initial_generator",
                    format!("the generator of `{initial}` has {what} of the teacher `{}`", stage.teacher),
                )
                .help("both have to be one architecture"),
            );
        }
        objections
    }

    fn generate(&self, stage: &Generate) -> Vec<Objection> {
        let (Some(class), Some(network)) = (stage.class, self.network(&stage.network)) else {
            return Vec::new();
        };
        let classes = network.label_dim();
        if (class as usize) < classes {
            return Vec::new();
        }
        let problem = match classes {
            0 => format!("`class` is {class}, but the network knows no classes"),
            _ => format!("`class` is {class}, but the network knows the classes 0 to {}", classes - 1),
        };
        vec![Objection::new("class", problem)]
    }

    fn evaluate(&self, stage: &Evaluate) -> Vec<Objection> {
        let mut objections = Vec::new();
        let facts = stage.reference.as_ref().and_then(|name| Some((name, self.facts(name)?)));
        let has_images = facts.as_ref().is_none_or(|(_, facts)| facts.has_images);
        for (i, metric) in stage.metrics.iter().enumerate() {
            let needs = metric.needs();
            if !needs.reference() || (stage.statistics.is_some() && needs.statistics_suffice()) {
                continue;
            }
            let name = &metric.names()[0];
            if stage.reference.is_none() {
                let instead = if needs.statistics_suffice() { ", or a file in `statistics:`" } else { "" };
                objections.push(
                    Objection::new(
                        format!("metrics/{i}"),
                        format!("`{name}` compares with real images, but there is no `reference`"),
                    )
                    .help(format!("name a `prepare_dataset` stage in `reference:`{instead}")),
                );
            } else if !has_images {
                objections.push(
                    Objection::new(
                        format!("metrics/{i}"),
                        format!("`{name}` compares with real images, but `reference` holds labels only"),
                    )
                    .help("use a `prepare_dataset` stage with images, or precomputed `statistics:`"),
                );
            }
        }
        if let Some((name, facts)) = &facts {
            if stage.statistics.is_none() {
                objections.extend(enough_images("metrics", &stage.metrics, name, facts));
            }
            if let Some(network) = self.network(&stage.network) {
                let encoder = self.encoder(&stage.network);
                objections.extend(network_and_dataset("reference", &network, &encoder, name, facts, false));
            }
        }
        objections
    }

    fn report(&self, stage: &Report) -> Vec<Objection> {
        let mut known = vec!["nfe".to_owned()];
        for row in &stage.rows {
            known.extend(row.published.keys().cloned());
            match &row.scores {
                Some(scores) if scores.pipeline.is_some() => return Vec::new(),
                Some(scores) => match self.specs.get(&scores.stage) {
                    Some(StageSpec::Evaluate(evaluate)) => known.extend(evaluate.metric_names()),
                    _ => return Vec::new(),
                },
                None => {}
            }
        }
        known.sort();
        known.dedup();
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let unknown = |(i, column): (usize, &String)| {
            (!known.contains(column)).then(|| Objection {
                help: advice(column, &names),
                ..Objection::new(
                    format!("columns/{i}"),
                    format!("no row has a value for the column `{column}`"),
                )
            })
        };
        stage.columns.iter().enumerate().filter_map(unknown).collect()
    }

    // ------------------------------------------------------------------ what stages make

    /// The network that a stage makes, where that is known before it runs.
    pub(super) fn network(&self, name: &StageName) -> Option<NetworkConfig> {
        network_of(&self.specs, name)
    }

    fn encoder(&self, name: &StageName) -> Encoder {
        let mut name = name;
        for _ in 0..self.specs.len() {
            match self.specs.get(name) {
                Some(StageSpec::LoadTeacher(stage)) => return stage.encoder.clone(),
                Some(StageSpec::Distill(stage)) => name = &stage.teacher,
                _ => break,
            }
        }
        Encoder::Rgb
    }

    fn facts(&self, name: &StageName) -> Option<Facts> {
        let Some(StageSpec::PrepareDataset(dataset)) = self.specs.get(name) else { return None };
        let path = locate(dataset.location(), self.search);
        Some(Facts::of(dataset, path.as_deref()))
    }
}

/// The network that a stage makes, where that is known before it runs.
pub(super) fn network_of(specs: &IndexMap<StageName, StageSpec>, name: &StageName) -> Option<NetworkConfig> {
    let mut name = name;
    for _ in 0..specs.len() {
        match specs.get(name)? {
            StageSpec::TrainTeacher(stage) => return Some(stage.network.clone()),
            StageSpec::LoadTeacher(stage) => return stage.network.clone(),
            StageSpec::Distill(stage) => name = &stage.teacher,
            _ => return None,
        }
    }
    None
}

/// All files that a stage's values name, with the fields that name them.
pub(super) fn locations(spec: &StageSpec) -> Vec<(String, &Location)> {
    match spec {
        StageSpec::PrepareDataset(stage) => {
            let source = match &stage.source {
                DatasetSource::Edm(_) => "edm",
                DatasetSource::Convert(_) => "convert",
                DatasetSource::Labels(_) => "labels",
            };
            vec![(format!("source/{source}/path"), stage.location())]
        }
        StageSpec::LoadTeacher(stage) => {
            let mut all = vec![("weights".to_owned(), stage.weights.location())];
            if let Encoder::StabilityVae(vae) = &stage.encoder {
                all.push(("encoder/stability_vae/weights".to_owned(), &vae.weights));
            }
            all
        }
        StageSpec::Distill(stage) => {
            let start = stage.start_from.as_ref();
            start.map(|s| ("start_from/training_state".to_owned(), &s.training_state)).into_iter().collect()
        }
        StageSpec::Evaluate(stage) => {
            stage.statistics.as_ref().map(|s| ("statistics".to_owned(), s)).into_iter().collect()
        }
        StageSpec::TrainTeacher(_) | StageSpec::Generate(_) | StageSpec::Report(_) => Vec::new(),
    }
}

/// A local file or folder, where it exists.
pub(super) fn locate(location: &Location, search: &[PathBuf]) -> Option<PathBuf> {
    let Ok(Place::Path(path)) = location.resolve() else { return None };
    search.iter().map(|folder| folder.join(&path)).find(|path| path.exists())
}

/// The folders in which relative paths are looked for: the working directory, then the file's folder and those above.
pub(super) fn search_folders(file: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::current_dir().into_iter().collect();
    if let Ok(absolute) = std::path::absolute(file) {
        folders.extend(absolute.ancestors().skip(1).map(Path::to_path_buf));
    }
    folders
}

fn unresolvable((field, location): (String, &Location)) -> Option<Objection> {
    location.resolve().err().map(|error| Objection::new(field, error.to_string()))
}

fn kind_of(verb: &str) -> Option<Kind> {
    Some(match verb {
        "prepare_dataset" => Kind::Dataset,
        "load_teacher" | "train_teacher" | "distill" => Kind::Network,
        "generate" => Kind::Images,
        "evaluate" => Kind::Scores,
        "report" => Kind::Table,
        _ => return None,
    })
}

fn network_and_dataset(
    field: &str,
    network: &NetworkConfig,
    encoder: &Encoder,
    name: &StageName,
    facts: &Facts,
    labels: bool,
) -> Vec<Objection> {
    let mut objections = Vec::new();
    // Latents are stored as means and deviations, and an autoencoder's pixels are not the network's.
    let comparable = facts.has_images && !facts.latents && matches!(encoder, Encoder::Rgb);
    if comparable
        && let Some(resolution) = facts.resolution
        && resolution != network.img_resolution()
    {
        let problem = format!(
            "the network's `img_resolution` is {}, but the images of `{name}` are {resolution}x{resolution}",
            network.img_resolution()
        );
        objections.push(Objection::new(field, problem));
    }
    if comparable
        && let Some(channels) = facts.channels
        && channels != network.img_channels()
    {
        let problem = format!(
            "the network's `img_channels` is {}, but the images of `{name}` have {channels}",
            network.img_channels()
        );
        objections.push(Objection::new(field, problem));
    }
    if let Some(classes) = facts.label_dim
        && network.label_dim() > 0
        && (classes > 0 || labels)
        && classes != network.label_dim()
    {
        let objection = match classes {
            0 => Objection::new(
                field,
                format!("the network's `label_dim` is {}, but `{name}` gives no labels", network.label_dim()),
            )
            .help("write `use_labels: true` in that stage, or `label_dim: 0` in the network"),
            _ => Objection::new(
                field,
                format!(
                    "the network's `label_dim` is {}, but `{name}` has {classes} classes",
                    network.label_dim()
                ),
            ),
        };
        objections.push(objection);
    }
    objections
}

fn enough_images(field: &str, metrics: &[Metric], name: &StageName, facts: &Facts) -> Vec<Objection> {
    let Some(images) = facts.images.filter(|_| facts.has_images) else { return Vec::new() };
    let too_few = |(i, metric): (usize, &Metric)| {
        let needs = metric.needs();
        let least = if needs.detector == DetectorName::Inception && needs.keep_real.moments {
            INCEPTION_IMAGES
        } else {
            4
        };
        (needs.reference() && images < least).then(|| {
            let objection = Objection::new(
                format!("{field}/{i}"),
                format!("`{}` needs at least {least} real images, but `{name}` has {images}", metric.names()[0]),
            );
            match least {
                INCEPTION_IMAGES => objection.help("the covariance of 2048 features is singular below; `frechet_distance` with the detector `pixels` or `random_conv` needs fewer"),
                _ => objection,
            }
        })
    };
    metrics.iter().enumerate().filter_map(too_few).collect()
}

/// In what two networks differ so that one cannot start from the other.
fn difference(a: &NetworkConfig, b: &NetworkConfig) -> Option<&'static str> {
    if std::mem::discriminant(a) != std::mem::discriminant(b) {
        Some("another architecture than that")
    } else if a.img_resolution() != b.img_resolution() {
        Some("another `img_resolution` than that")
    } else if a.img_channels() != b.img_channels() {
        Some("another `img_channels` than that")
    } else if a.label_dim() != b.label_dim() {
        Some("another `label_dim` than that")
    } else {
        None
    }
}
