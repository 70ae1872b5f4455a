//! Names of element types in a safetensors header.

use burn::tensor::{BoolStore, DType};

const NAMES: &[(&str, DType)] = &[
    ("F64", DType::F64),
    ("F32", DType::F32),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("I64", DType::I64),
    ("I32", DType::I32),
    ("I16", DType::I16),
    ("I8", DType::I8),
    ("U64", DType::U64),
    ("U32", DType::U32),
    ("U16", DType::U16),
    ("U8", DType::U8),
    ("BOOL", DType::Bool(BoolStore::Native)),
];

/// The type of that name.
pub(super) fn from_name(name: &str) -> Option<DType> {
    NAMES.iter().find(|(n, _)| *n == name).map(|(_, dtype)| *dtype)
}

/// The name of that type.
pub(super) fn name_of(dtype: DType) -> Option<&'static str> {
    // Booleans of a byte are alike, whoever stores them.
    let dtype = if dtype == DType::Bool(BoolStore::U8) { DType::Bool(BoolStore::Native) } else { dtype };
    NAMES.iter().find(|(_, d)| *d == dtype).map(|(name, _)| *name)
}
