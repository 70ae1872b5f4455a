//! `Precision`: the arithmetic of a network's passes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The arithmetic of a network's passes. Master weights, losses, optimizers and EMA are fp32 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    Fp32,
    /// bfloat16.
    Bf16,
    /// 16-bit floats.
    Fp16,
}
