//! `AdmConfig`: the settings of ADM (Dhariwal and Nichol), as pipeline files write them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_inline_default::serde_inline_default;

use super::{check::Problems, edm_config::edm_config, preconditioning::Preconditioning};

/// Channels per attention head.
pub(crate) const CHANNELS_PER_HEAD: usize = 64;

edm_config! {
    /// ADM (Dhariwal and Nichol 2021), as EDM uses it.
    AdmConfig {
        /// The widths are multiples of this number of channels.
        #[serde_inline_default(192)]
        model_channels,
        #[serde_inline_default(vec![1, 2, 3, 4])]
        channel_mult,
        #[serde_inline_default(3)]
        num_blocks,
        /// Resolutions with self-attention, one head per 64 channels.
        #[serde_inline_default(vec![32, 16, 8])]
        attn_resolutions,
    }
}

impl AdmConfig {
    /// Adds what is wrong with the settings that no other architecture has.
    pub(crate) fn check(&self, problems: &mut Problems) {
        problems.demand(self.model_channels.is_multiple_of(2), "model_channels", || {
            format!("the noise embedding is {} numbers wide, but must be an even number", self.model_channels)
        });
    }
}
