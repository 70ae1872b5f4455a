//! `.safetensors` files: named tensors behind a JSON header, with a map of texts as metadata.

mod reader;
mod writer;

use indexmap::IndexMap;

pub use reader::{read, read_source};
pub use writer::write;

/// What error messages call such a file.
const FORMAT: &str = "safetensors file";

/// The header's entry that is not a tensor.
const METADATA: &str = "__metadata__";

/// The texts beside the tensors.
pub type Metadata = IndexMap<String, String>;
