//! `distill`: a teacher becomes a generator that needs one step.

use std::path::Path;

use burn::tensor::Device;

use super::{
    artifact::{Artifact, NetworkArtifact},
    context::Context,
    cost::{self, Load, Task},
    download::Wanted,
    fitting::{Taken, network_and_dataset},
    microbatch, network_file, reference_state, rules, snapshots,
    stage::{Input, Kind, Network, Objection, Stage, Verb},
    told,
    training_loop::{
        self, Training,
        distillation::{self, Distillation},
    },
    work::Work,
    world::World,
};
use crate::{
    Result,
    distill::{Distill, Terms},
    kimg::Kimg,
    nn::NetworkConfig,
    stage_name::StageName,
    training::{Guard, Keep, Microbatch, Pace},
};

impl Distill {
    /// Its iterations, from such a teacher.
    fn task(&self, network: &NetworkConfig) -> Task {
        Task::Distillation(Box::new((self.clone(), network.clone())))
    }

    /// What it takes of its dataset: only an adversarial loss looks at images.
    pub(super) fn taken(&self) -> Taken {
        if self.method.terms().adversarial.is_some() { Taken::Samples } else { Taken::Labels }
    }
}

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
        if let Some(reference) = &self.snapshots.reference {
            inputs.push(Input::new("snapshots/reference", reference, Kind::Dataset));
        }
        inputs
    }

    fn duration(&mut self) -> Option<&mut Kimg> {
        Some(&mut self.duration_kimg)
    }

    fn guard(&self) -> Option<&Guard> {
        Some(&self.guard)
    }

    fn guard_mut(&mut self) -> Option<&mut Guard> {
        Some(&mut self.guard)
    }

    fn runs_on(&self, device: &Device) -> Result<()> {
        network_file::trains_in(self.precision, device).map(drop)
    }

    fn shared_by(&self, ranks: u32) -> Option<Objection> {
        rules::shared_by(&self.pace(), ranks)
    }

    fn pace(&self) -> Option<Pace<'_>> {
        Some(self.pace())
    }

    fn microbatch_mut(&mut self) -> Option<&mut Option<Microbatch>> {
        Some(&mut self.microbatch_size)
    }

    fn tf32(&self) -> bool {
        self.tf32
    }

    fn switches_mut(&mut self) -> Vec<&mut bool> {
        vec![&mut self.recompute, &mut self.graphs]
    }

    fn check(&self) -> Vec<Objection> {
        let mut objections = rules::pace(&self.pace());
        if self.method.terms().adversarial.is_some() && self.dataset.is_none() {
            let judges = format!("`{}` judges generated images against real ones", self.method.name());
            let help = "name a `prepare_dataset` stage in `dataset:`, or use `sid`, which needs no images";
            let problem = format!("{judges}, but there is no `dataset`");
            objections.push(Objection::new("method", problem).help(help));
        }
        if self.method.terms().adversarial.is_some() && self.microbatch_size == Some(Microbatch::AUTO) {
            let method = self.method.name();
            let because = "because the discriminator's loss is a mean over a micro-batch";
            let problem = format!(
                "`{method}` comes to something else with other micro-batches, {because}: no machine may choose"
            );
            let help = "write a number, such as 32, or leave it out for the whole batch; `auto` is for `sid` and `train_teacher`";
            objections.push(Objection::new("microbatch_size", problem).help(help));
        }
        if let Some(terms) = self.method.terms().adversarial
            && terms.starts_at_kimg >= self.duration_kimg
            && self.start_from.is_none()
        {
            let field = format!("method/{}/adversarial/starts_at_kimg", self.method.name());
            let (start, end) = (terms.starts_at_kimg, self.duration_kimg);
            let problem = format!("the adversarial term starts at {start}, but the training ends at {end}");
            let help = "without it this is SiD with a later start: lower it, or train longer";
            objections.push(Objection::new(field, problem).help(help));
        }
        objections
    }

    fn agrees(&self, world: &World<'_>) -> Vec<Objection> {
        let mut objections = Vec::new();
        let facts = self.dataset.as_ref().and_then(|name| Some((name, world.facts(name)?)));
        if let Some((name, facts)) = &facts
            && self.method.terms().adversarial.is_some()
            && !facts.has_images
        {
            let method = self.method.name();
            let problem = format!("`{method}` judges against real images, but `{name}` holds labels only");
            let help = "use a `prepare_dataset` stage with images, or the method `sid`";
            objections.push(Objection::new("dataset", problem).help(help));
        }
        objections.extend(rules::snapshots(&self.snapshots, self.dataset.as_ref(), world));
        let Some(network) = world.network(&self.teacher) else { return objections };
        let bytes = |parameters| Distill::memory_bytes(self, &self.pace(), network, parameters, 1);
        objections.extend(rules::memory(&self.pace(), network, bytes));
        let (encoder, classes) = (world.encoder(&self.teacher), network.label_dim());
        if let Some((name, facts)) = &facts {
            objections.extend(network_and_dataset(
                "dataset",
                (network, &encoder),
                (name, facts),
                self.taken(),
            ));
        } else if classes > 0 && self.dataset.is_none() {
            let knows = format!("the teacher knows {classes} classes");
            let problem = format!("{knows}, but there is no `dataset` to draw them from");
            let help = "name a `prepare_dataset` stage in `dataset:`; its `labels` source needs no images";
            objections.push(Objection::new("", problem).help(help));
        }
        objections.extend(rules::augmentation(self.augment, network));
        if self.edm2.is_some() && !network.is_edm2() {
            let problem = "`edm2` is for EDM2 networks, and the teacher is none";
            objections.push(Objection::new("edm2", problem).help("leave it out"));
        }
        if let Some(initial) = self.method.terms().initial_generator
            && let Some(generator) = world.network(initial)
            && let Some(what) = rules::difference(network, generator)
        {
            let problem =
                format!("the generator of `{initial}` has {what} of the teacher `{}`", self.teacher);
            let objection = Objection::new("method/sid2a/initial_generator", problem);
            objections.push(objection.help("both have to be one architecture"));
        }
        objections
    }

    /// The dataset whose images score the snapshots of a distillation that needs none to learn from.
    fn complete(&mut self, only_images: Option<&StageName>) {
        if let Some(only) = only_images
            && self.method.terms().adversarial.is_none()
            && !self.snapshots.metrics.is_empty()
            && self.snapshots.statistics.is_none()
            && self.snapshots.reference.is_none()
        {
            self.dataset.get_or_insert_with(|| only.clone());
        }
    }

    fn wanted(&self) -> Vec<Wanted<'_>> {
        let start = self.start_from.as_ref().map(reference_state::wanted);
        start.into_iter().chain(rules::wanted(&self.snapshots)).collect()
    }

    fn work(&self, _world: &World<'_>, cache: &Path) -> Work {
        let work = Work::training(&self.pace()).with_statistics(self.snapshots.statistics.as_ref(), cache);
        let work = match &self.start_from {
            None => work,
            Some(start) => work.with_file(&start.training_state, None, cache),
        };
        work.with_metrics(&self.snapshots.metrics, cache)
    }

    fn loads(&self, world: &World<'_>, begins_at: u64) -> Option<Vec<Load>> {
        let network = world.network(&self.teacher)?;
        let mut loads = vec![cost::load_of_training(self.task(network), &self.pace(), begins_at)];
        let generation = Task::Generation {
            network: Box::new(network.clone()),
            precision: self.precision,
            evaluations: self.generator.num_steps,
            batch_size: snapshots::BATCH as u32,
        };
        let reference = self.snapshots.reference.as_ref().or(self.dataset.as_ref());
        let facts = reference.and_then(|name| world.facts(name));
        let (encoder, span) = (world.encoder(&self.teacher), [begins_at, self.duration_kimg.nimg()]);
        loads.extend(cost::of_snapshots(&self.snapshots, generation, span, &encoder, facts.as_ref()));
        Some(loads)
    }

    fn evaluations(&self, _: &NetworkConfig) -> Option<u32> {
        Some(self.generator.num_steps)
    }

    fn disk_bytes(&self, world: &World<'_>, parameters: Option<u64>) -> Option<u64> {
        let network = world.network(&self.teacher)?;
        // Two students with two moments each, and the average.
        let copies = [parameters?, 7];
        Some(cost::of_training(&self.pace(), network, &world.encoder(&self.teacher), copies))
    }

    fn memory_bytes(
        &self,
        pace: &Pace<'_>,
        network: &NetworkConfig,
        parameters: u64,
        ranks: u32,
    ) -> Option<u64> {
        Some(Distill::memory_bytes(self, pace, network, parameters, ranks))
    }

    fn network(&self) -> Option<Network<'_>> {
        Some(Network::Of(&self.teacher))
    }

    fn is_spread(&self) -> bool {
        true
    }

    fn told(&self, context: &Context<'_>) -> String {
        let Terms { adversarial, initial_generator, .. } = self.method.terms();
        let teacher = told::teacher(context, &self.teacher);
        let student = match initial_generator {
            None => format!("a copy of {teacher} learns to need one"),
            Some(generator) => format!("the generator of `{generator}` learns on from {teacher}"),
        };
        let images = match (&self.dataset, adversarial) {
            (Some(dataset), Some(_)) => format!("judged against {}", told::images(context, dataset)),
            _ => "without real images".to_owned(),
        };
        format!("{student}, by {}, {images}, in {}", self.method.title(), self.duration_kimg)
    }

    fn run(&self, context: &mut Context<'_>) -> Result<Artifact> {
        let context = &*context;
        let (_, teacher) = network_file::artifact(context, &self.teacher)?;
        let microbatch_size = microbatch::settled(self, &teacher.network, context)?;
        let recipe = &Self { microbatch_size, ..self.clone() };
        let mut distillation = Distillation::new(recipe, context)?;
        let memory = training_loop::run(
            &mut distillation,
            recipe.pace().into(),
            &self.task(&teacher.network),
            context,
        )?;
        let best = memory.best.filter(|_| self.snapshots.keep != Keep::Last);
        let handed_on = best.map_or(distillation.nimg(), |(nimg, _)| nimg);
        Ok(Artifact::Network(NetworkArtifact {
            network: distillation.generator().clone(),
            weights: snapshots::weights(Path::new(""), handed_on),
            sampler: distillation::sampler(self),
            encoder: teacher.encoder.clone(),
            nimg: handed_on,
        }))
    }
}
