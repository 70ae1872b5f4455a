//! What lies on disk: training checkpoints, snapshots, and the reference's own checkpoint files.

pub mod atomic;
mod lease;
mod modules;
mod reference_adam;
mod reference_network;
mod reference_snapshot;
mod reference_training_state;
mod script_module;
mod state_dict_file;
mod store;
mod torch_file;
mod wrapped;

pub use lease::{Asked, Holder, Lease, Watch};
pub use reference_adam::{AdamMoments, ReferenceAdam};
pub use reference_network::{ReferenceNetwork, check_shapes};
pub use reference_snapshot::{ReferenceEncoder, ReferenceSnapshot};
pub use reference_training_state::{ReferenceTrainingState, TrainedNetwork, TrainingStateStyle};
pub use script_module::ScriptModule;
pub use state_dict_file::read_state_dict_file;
pub use store::{Checkpoint, CheckpointStore, is_checkpoint};
pub use torch_file::TorchFile;
pub use wrapped::unwrapped;
