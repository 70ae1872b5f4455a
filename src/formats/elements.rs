//! Types of elements under the names that formats have for them, and tensors from bytes.

use burn::tensor::{BoolStore, DType, TensorData};
use safetensors::Dtype;

/// Each type as Burn, safetensors, numpy (without byte order) and torch (its storage) name it.
const TYPES: [(DType, Dtype, Option<&str>, Option<&str>); 13] = [
    (DType::F64, Dtype::F64, Some("f8"), Some("DoubleStorage")),
    (DType::F32, Dtype::F32, Some("f4"), Some("FloatStorage")),
    (DType::F16, Dtype::F16, Some("f2"), Some("HalfStorage")),
    (DType::BF16, Dtype::BF16, None, Some("BFloat16Storage")),
    (DType::I64, Dtype::I64, Some("i8"), Some("LongStorage")),
    (DType::I32, Dtype::I32, Some("i4"), Some("IntStorage")),
    (DType::I16, Dtype::I16, Some("i2"), Some("ShortStorage")),
    (DType::I8, Dtype::I8, Some("i1"), Some("CharStorage")),
    (DType::U64, Dtype::U64, Some("u8"), None),
    (DType::U32, Dtype::U32, Some("u4"), None),
    (DType::U16, Dtype::U16, Some("u2"), None),
    (DType::U8, Dtype::U8, Some("u1"), Some("ByteStorage")),
    (DType::Bool(BoolStore::Native), Dtype::BOOL, Some("b1"), Some("BoolStorage")),
];

/// The type that a safetensors header names.
pub(super) fn of_safetensors(name: Dtype) -> Option<DType> {
    TYPES.iter().find(|row| row.1 == name).map(|row| row.0)
}

/// What a safetensors header calls a type.
pub(super) fn to_safetensors(dtype: DType) -> Option<Dtype> {
    // Booleans of a byte are alike, whoever stores them.
    let dtype = if dtype == DType::Bool(BoolStore::U8) { DType::Bool(BoolStore::Native) } else { dtype };
    TYPES.iter().find(|row| row.0 == dtype).map(|row| row.1)
}

/// What people are told that a type is called: as safetensors calls it.
pub fn type_name(dtype: DType) -> String {
    to_safetensors(dtype).map_or_else(|| "another type".to_owned(), |name| name.to_string())
}

/// The type of a numpy code without byte order, such as `f8`; objects, text and records are not elements.
pub(super) fn of_numpy(code: &str) -> Option<DType> {
    TYPES.iter().find(|row| row.2 == Some(code)).map(|row| row.0)
}

/// The type of a storage of the module `torch`.
pub(super) fn of_torch(storage: &str) -> Option<DType> {
    TYPES.iter().find(|row| row.3 == Some(storage)).map(|row| row.0)
}

/// A tensor from little-endian elements in row-major order; `None` where they do not fill the shape.
pub(super) fn tensor(mut bytes: Vec<u8>, shape: &[usize], dtype: DType) -> Option<TensorData> {
    let len = shape.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d));
    if len != Some(bytes.len()) {
        return None;
    }
    if matches!(dtype, DType::Bool(_)) {
        bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0));
    }
    TensorData::try_from_bytes_vec(bytes, shape.to_vec(), dtype).ok()
}

/// The elements of a strided view in row-major order; none of its extents is 0, and all of it lies inside `bytes`.
pub(super) fn gather(bytes: &[u8], size: usize, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let mut out = Vec::with_capacity(count * size);
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    for _ in 0..count {
        out.extend_from_slice(&bytes[at * size..(at + 1) * size]);
        for d in (0..shape.len()).rev() {
            index[d] += 1;
            at += strides[d];
            if index[d] < shape[d] {
                break;
            }
            at -= shape[d] * strides[d];
            index[d] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_name_for_people() {
        let named = [DType::F32, DType::BF16, DType::Bool(BoolStore::Native), DType::Bool(BoolStore::U8)];
        assert_eq!(named.map(type_name), ["F32", "BF16", "BOOL", "BOOL"]);
        assert_eq!(type_name(DType::Bool(BoolStore::U32)), "another type");
    }
}
