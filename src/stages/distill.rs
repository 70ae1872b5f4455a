//! `distill`: a teacher becomes a generator that needs one step.

use std::path::Path;

use super::{
    artifact::{Artifact, NetworkArtifact},
    context::Context,
    network_file, rules, snapshots,
    stage::{Input, Kind, Network, Objection, Stage, Verb},
    training_loop::{
        self,
        distillation::{self, Distillation},
    },
    work::Work,
    world::World,
};
use crate::{
    Result, distill::Distill, kimg::Kimg, location::Location, stage_name::StageName, training::Keep,
};

impl Verb for Distill {
    const NAME: &'static str = "distill";
    const MAKES: Kind = Kind::Network;
}

impl Stage for Distill {
    fn inputs(&self) -> Vec<Input<'_>> {
        let mut inputs = vec![Input::new("teacher", &self.teacher, Kind::Network)];
        if let Some(dataset) = &self.dataset {
            inputs.push(Input::new("dataset", dataset, Kind::Dataset));
        }
        if let Some(generator) = self.method.terms().initial_generator {
            inputs.push(Input::new("method/sid2a/initial_generator", generator, Kind::Network));
        }
        inputs
    }

    fn duration(&mut self) -> Option<&mut Kimg> {
        Some(&mut self.duration_kimg)
    }

    fn check(&self) -> Vec<Objection> {
        let mut objections = rules::pace(&self.pace());
        if self.method.terms().adversarial.is_some() && self.dataset.is_none() {
            objections.push(
                Objection::new(
                    "method",
                    format!(
                        "`{}` judges generated images against real ones, but there is no `dataset`",
                        self.method.name()
                    ),
                )
                .help("name a `prepare_dataset` stage in `dataset:`, or use `sid`, which needs no images"),
            );
        }
        if self.dataset.is_none() && !self.snapshots.metrics.is_empty() {
            objections.push(
                Objection::new(
                    "snapshots/metrics",
                    "metrics of snapshots compare with real images, but there is no `dataset`",
                )
                .help("name a `prepare_dataset` stage in `dataset:`"),
            );
        }
        if let Some(terms) = self.method.terms().adversarial
            && terms.starts_at_kimg >= self.duration_kimg
            && self.start_from.is_none()
        {
            objections.push(
                Objection::new(
                    format!("method/{}/adversarial/starts_at_kimg", self.method.name()),
                    format!(
                        "the adversarial term starts at {}, but the training ends at {}",
                        terms.starts_at_kimg, self.duration_kimg
                    ),
                )
                .help("without it this is SiD with a later start: lower it, or train longer"),
            );
        }
        objections
    }

    fn agrees(&self, world: &World<'_>) -> Vec<Objection> {
        let mut objections = Vec::new();
        let facts = self.dataset.as_ref().and_then(|name| Some((name, world.facts(name)?)));
        if let Some((name, facts)) = &facts {
            if self.method.terms().adversarial.is_some() && !facts.has_images {
                let method = self.method.name();
                objections.push(
                    Objection::new(
                        "dataset",
                        format!("`{method}` judges against real images, but `{name}` holds labels only"),
                    )
                    .help("use a `prepare_dataset` stage with images, or the method `sid`"),
                );
            }
            objections.extend(rules::enough_images(
                "snapshots/metrics",
                &self.snapshots.metrics,
                name,
                facts,
            ));
            let measured = self.snapshots.metrics.iter().position(|metric| metric.needs().real_images());
            if let Some(i) = measured.filter(|_| !facts.has_images) {
                let metric = &self.snapshots.metrics[i].names()[0];
                objections.push(
                    Objection::new(
                        format!("snapshots/metrics/{i}"),
                        format!("`{metric}` compares with real images, but `{name}` holds labels only"),
                    )
                    .help("measure in an `evaluate` stage with precomputed `statistics:` instead"),
                );
            }
        }
        let Some(network) = world.network(&self.teacher) else { return objections };
        let encoder = world.encoder(&self.teacher);
        if let Some((name, facts)) = &facts {
            let needs_labels = network.label_dim() > 0;
            objections.extend(rules::network_and_dataset(
                "dataset",
                network,
                &encoder,
                name,
                facts,
                needs_labels,
            ));
        } else if network.label_dim() > 0 && self.dataset.is_none() {
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
        objections.extend(rules::augmentation(self.augment, network));
        if self.edm2.is_some() && !network.is_edm2() {
            objections.push(
                Objection::new("edm2", "`edm2` is for EDM2 networks, and the teacher is none")
                    .help("leave it out"),
            );
        }
        if let Some(initial) = self.method.terms().initial_generator
            && let Some(generator) = world.network(initial)
            && let Some(what) = rules::difference(network, generator)
        {
            objections.push(
                Objection::new(
                    "method/sid2a/initial_generator",
                    format!("the generator of `{initial}` has {what} of the teacher `{}`", self.teacher),
                )
                .help("both have to be one architecture"),
            );
        }
        objections
    }

    /// The dataset whose images score the snapshots of a distillation that needs none to learn from.
    fn complete(&mut self, only_images: Option<&StageName>) {
        if let Some(only) = only_images
            && self.method.terms().adversarial.is_none()
            && !self.snapshots.metrics.is_empty()
        {
            self.dataset.get_or_insert_with(|| only.clone());
        }
    }

    fn locations(&self) -> Vec<(String, &Location)> {
        let start = self.start_from.as_ref();
        start.map(|s| ("start_from/training_state".to_owned(), &s.training_state)).into_iter().collect()
    }

    fn work(&self, _world: &World<'_>, cache: &Path) -> Work {
        let work = Work::training(&self.pace());
        let work = match &self.start_from {
            None => work,
            Some(start) => work.with_file(&start.training_state, None, cache),
        };
        work.with_metrics(&self.snapshots.metrics, cache)
    }

    fn network(&self) -> Option<Network<'_>> {
        Some(Network::Of(&self.teacher))
    }

    fn run(&self, context: &mut Context<'_>) -> Result<Artifact> {
        let context = &*context;
        let mut distillation = Distillation::new(self, context)?;
        let memory = training_loop::run(&mut distillation, self.pace().into(), context)?;
        let trainer = distillation.trainer();
        let (_, teacher) = network_file::artifact(context, &self.teacher)?;
        let best = memory.best.filter(|_| self.snapshots.keep != Keep::Last);
        let handed_on = best.map_or(trainer.nimg(), |(nimg, _)| nimg);
        Ok(Artifact::Network(NetworkArtifact {
            network: teacher.network.clone(),
            weights: snapshots::weights(Path::new(""), handed_on),
            sampler: distillation::sampler(self),
            encoder: teacher.encoder.clone(),
            nimg: handed_on,
        }))
    }
}
