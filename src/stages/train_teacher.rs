//! `train_teacher`: trains a diffusion model from nothing.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::{
    artifact::{Artifact, NetworkArtifact},
    context::Context,
    cost::{self, Load, Task},
    download::Wanted,
    fitting::{Taken, network_and_dataset},
    microbatch, network_file, rules, snapshots,
    stage::{Input, Kind, Network, Objection, Stage, Verb},
    told,
    training_loop::{self, Training, teacher_training::TeacherTraining},
    work::Work,
    world::World,
};
use crate::{
    Result,
    diffusion::{Encoder, Sampler},
    kimg::Kimg,
    nn::NetworkConfig,
    teach::TrainTeacher,
    training::{Guard, Microbatch, Pace},
};

impl TrainTeacher {
    /// Its iterations.
    fn task(&self) -> Task {
        Task::Teaching(Box::new(self.clone()))
    }
}

impl Verb for TrainTeacher {
    const NAME: &'static str = "train_teacher";
    const MAKES: Kind = Kind::Network;
}

impl Stage for TrainTeacher {
    fn inputs(&self) -> Vec<Input<'_>> {
        let reference = self.snapshots.as_ref().and_then(|snapshots| snapshots.reference.as_ref());
        let reference = reference.map(|name| Input::new("snapshots/reference", name, Kind::Dataset));
        [Input::new("dataset", &self.dataset, Kind::Dataset)].into_iter().chain(reference).collect()
    }

    fn wanted(&self) -> Vec<Wanted<'_>> {
        self.snapshots.iter().flat_map(rules::wanted).collect()
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
        network_file::compute_training(self.precision, &self.network, device).map(drop)
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
        let mut objections = rules::network("network", &self.network);
        let known = Some(&self.network).filter(|_| objections.is_empty());
        objections.extend(rules::sampler(self.sampler.as_ref(), known));
        let bytes = |parameters| TrainTeacher::memory_bytes(self, &self.pace(), parameters, 1);
        objections.extend(known.and_then(|network| rules::memory(&self.pace(), network, bytes)));
        objections.extend(rules::pace(&self.pace()));
        objections.extend(rules::augmentation(self.augment, &self.network));
        objections
    }

    fn agrees(&self, world: &World<'_>) -> Vec<Objection> {
        let Some(facts) = world.facts(&self.dataset) else { return Vec::new() };
        let (network, dataset) = ((&self.network, &Encoder::Rgb), (&self.dataset, &facts));
        let mut objections = network_and_dataset("dataset", network, dataset, Taken::Samples);
        if !facts.has_images {
            let problem = format!("`{}` holds labels only, but a teacher learns from images", self.dataset);
            let help = "use a `prepare_dataset` stage with images";
            objections.push(Objection::new("dataset", problem).help(help));
        }
        if let Some(snapshots) = &self.snapshots {
            objections.extend(rules::snapshots(snapshots, Some(&self.dataset), world));
        }
        objections
    }

    fn work(&self, _world: &World<'_>, cache: &Path) -> Work {
        let statistics = self.snapshots.as_ref().and_then(|snapshots| snapshots.statistics.as_ref());
        Work::training(&self.pace()).with_statistics(statistics, cache)
    }

    fn loads(&self, world: &World<'_>, begins_at: u64) -> Option<Vec<Load>> {
        let mut loads = vec![cost::load_of_training(self.task(), &self.pace(), begins_at)];
        if let Some(settings) = &self.snapshots {
            let generation = Task::Generation {
                network: Box::new(self.network.clone()),
                precision: self.precision,
                evaluations: self.evaluations(&self.network)?,
                batch_size: snapshots::BATCH as u32,
            };
            let facts = world.facts(settings.reference.as_ref().unwrap_or(&self.dataset));
            let span = [begins_at, self.duration_kimg.nimg()];
            loads.extend(cost::of_snapshots(settings, generation, span, &Encoder::Rgb, facts.as_ref()));
        }
        Some(loads)
    }

    fn evaluations(&self, network: &NetworkConfig) -> Option<u32> {
        Some(self.sampler.as_ref().map_or_else(|| Sampler::of_teacher(network).nfe(), Sampler::nfe))
    }

    fn disk_bytes(&self, _: &World<'_>, parameters: Option<u64>) -> Option<u64> {
        // The network with two moments, and the average.
        Some(cost::of_training(&self.pace(), &self.network, &Encoder::Rgb, [parameters?, 4]))
    }

    fn memory_bytes(&self, pace: &Pace<'_>, _: &NetworkConfig, parameters: u64, ranks: u32) -> Option<u64> {
        Some(TrainTeacher::memory_bytes(self, pace, parameters, ranks))
    }

    fn network(&self) -> Option<Network<'_>> {
        Some(Network::Own(Some(&self.network), &Encoder::Rgb))
    }

    fn is_spread(&self) -> bool {
        true
    }

    fn told(&self, context: &Context<'_>) -> String {
        let (model, images) = (told::model(&self.network), told::images(context, &self.dataset));
        format!("{model} learns {images}, in {}", self.duration_kimg)
    }

    fn run(&self, context: &mut Context<'_>) -> Result<Artifact> {
        let context = &*context;
        let sampler = self.sampler.clone().unwrap_or_else(|| Sampler::of_teacher(&self.network));
        let microbatch_size = microbatch::settled(self, &self.network, context)?;
        let recipe = &Self { microbatch_size, ..self.clone() };
        let mut training = TeacherTraining::new(recipe, sampler.clone(), context)?;
        let memory = training_loop::run(&mut training, recipe.pace().into(), &self.task(), context)?;
        let nimg = training.nimg();
        let (weights, nimg) = match memory.best {
            Some((best, _)) => (snapshots::weights(Path::new(""), best), best),
            None => (PathBuf::from("network.safetensors"), nimg),
        };
        if memory.best.is_none() {
            network_file::save(&context.dir.join(&weights), training.trainer.ema())?;
        }
        Ok(Artifact::Network(NetworkArtifact {
            network: self.network.clone(),
            weights,
            sampler,
            encoder: Encoder::Rgb,
            nimg,
        }))
    }
}
