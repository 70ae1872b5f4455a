//! `StateDict`: named host tensors in the order of registration, the common tongue of weights.

use burn::tensor::TensorData;
use indexmap::IndexMap;

/// Parameters and buffers by the reference's own names (`model.enc.8x8_conv.weight`, ...), in the order of
/// registration. Every reader of weights makes one; every network takes and gives one.
pub type StateDict = IndexMap<String, TensorData>;
