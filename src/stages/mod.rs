//! The verbs of the pipeline language, one file each.
//!
//! A verb is a struct that the pipeline file parses into; `impl Stage` says which stages it reads, what it makes,
//! which rules its fields obey beyond their ranges, and how it runs.

mod addresses;
pub mod artifact;
pub mod context;
pub mod cost;
mod dataset_batches;
mod dataset_file;
pub mod dataset_source;
mod detections;
pub mod distill;
pub mod download;
pub mod evaluate;
mod evaluate_pictures;
pub mod facts;
mod fitting;
pub mod generate;
pub mod guard;
mod inception_weights;
mod limits;
pub mod load_teacher;
mod lock_file;
pub mod microbatch;
pub(crate) mod network_file;
mod noise;
pub mod picture;
pub mod prepare_dataset;
mod prepare_known;
pub mod progress;
mod reference_state;
pub mod report;
pub mod report_curves;
mod report_data;
mod report_snapshots;
mod report_speed;
pub mod rules;
mod sampling;
mod scoring;
pub mod seeds;
mod snapshots;
pub mod spec;
pub mod stage;
mod stats_jsonl;
mod told;
pub mod train_teacher;
mod training_loop;
mod turns;
pub mod work;
pub mod world;

pub use addresses::Addresses;
pub use artifact::{
    Artifact, DatasetArtifact, ImagesArtifact, NetworkArtifact, ScoresArtifact, TableArtifact,
};
pub use context::{Context, Finished};
pub use download::{Downloads, Mirrors, Missing, Wanted, Web};
pub use evaluate::Evaluate;
pub use generate::Generate;
pub use load_teacher::LoadTeacher;
pub use lock_file::LockFile;
pub use prepare_dataset::PrepareDataset;
pub use prepare_known::prepare_known;
pub use progress::Progress;
pub use report::Report;
pub use report_data::versions;
pub use seeds::{Rng, Seeds};
pub use spec::StageSpec;
pub use stage::{Elsewhere, Input, Kind, Objection, Stage};
pub use work::{Download, Work};
pub use world::World;
