//! `distill`: the loop around the trainer.

use super::{
    artifact::{Artifact, NetworkArtifact},
    context::Context,
    distillation::{self, Distillation},
    network_file, rules, snapshots,
    stage::{Input, Kind, Objection, Stage},
    training_loop::{self, Cadence},
};
use crate::{
    Result,
    distill::{Distill, Keep},
};

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

    fn makes(&self) -> Kind {
        Kind::Network
    }

    fn check(&self) -> Vec<Objection> {
        let mut objections = Vec::new();
        objections.extend(rules::microbatch_divides(self.batch_size, self.microbatch_size));
        objections.extend(rules::interval("status_every_kimg", self.status_every_kimg, self.batch_size));
        objections.extend(rules::interval(
            "checkpoint_every_kimg",
            self.checkpoint_every_kimg,
            self.batch_size,
        ));
        objections.extend(rules::interval("duration_kimg", self.duration_kimg, self.batch_size));
        objections.extend(rules::interval(
            "snapshots/every_kimg",
            self.snapshots.every_kimg,
            self.batch_size,
        ));
        objections.extend(rules::metrics_differ("snapshots/metrics", &self.snapshots.metrics));
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

    fn run(&self, context: &mut Context<'_>) -> Result<Artifact> {
        let context = &*context;
        let mut distillation = Distillation::new(self, context)?;
        let cadence = Cadence::new(
            self.duration_kimg,
            self.status_every_kimg,
            self.checkpoint_every_kimg,
            Some(self.snapshots.every_kimg),
        );
        let memory = training_loop::run(&mut distillation, cadence, context)?;
        let trainer = distillation.trainer();
        let (_, teacher) = network_file::artifact(context, &self.teacher)?;
        let best = memory.best.filter(|_| self.snapshots.keep != Keep::Last);
        let handed_on = best.map_or(trainer.nimg(), |(nimg, _)| nimg);
        Ok(Artifact::Network(NetworkArtifact {
            network: teacher.network.clone(),
            weights: snapshots::weights(std::path::Path::new(""), handed_on),
            sampler: distillation::sampler(self),
            encoder: teacher.encoder.clone(),
            nimg: handed_on,
        }))
    }
}
