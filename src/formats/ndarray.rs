//! Numpy's way of writing arrays down: element codes, byte order, Fortran order.

use burn::tensor::{BoolStore, DType, TensorData};

/// What numpy's `<f8`, `|u1`, ... say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ElementType {
    pub(super) dtype: DType,
    pub(super) big_endian: bool,
}

impl ElementType {
    /// Reads a code with or without a byte order; objects, text and records are not elements.
    pub(super) fn parse(code: &str) -> Option<Self> {
        let (big_endian, code) = match code.split_at_checked(1)? {
            (">", rest) => (true, rest),
            ("<" | "|" | "=", rest) => (false, rest),
            _ => (false, code),
        };
        let dtype = match code {
            "f2" => DType::F16,
            "f4" => DType::F32,
            "f8" => DType::F64,
            "i1" => DType::I8,
            "i2" => DType::I16,
            "i4" => DType::I32,
            "i8" => DType::I64,
            "u1" => DType::U8,
            "u2" => DType::U16,
            "u4" => DType::U32,
            "u8" => DType::U64,
            "b1" => DType::Bool(BoolStore::Native),
            _ => return None,
        };
        Some(Self { dtype, big_endian })
    }
}

/// An array from its bytes; `None` where the bytes do not fit the shape.
pub(super) fn tensor(
    mut bytes: Vec<u8>,
    shape: &[usize],
    fortran: bool,
    element: ElementType,
) -> Option<TensorData> {
    let size = element.dtype.size();
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
    if count.checked_mul(size) != Some(bytes.len()) {
        return None;
    }
    if element.big_endian && size > 1 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    if matches!(element.dtype, DType::Bool(_)) {
        bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0));
    }
    if fortran && shape.len() > 1 && count > 0 {
        bytes = row_major(&bytes, shape, size);
    }
    TensorData::try_from_bytes_vec(bytes, shape.to_vec(), element.dtype).ok()
}

/// First index fastest to last index fastest.
fn row_major(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for place in 0..bytes.len() / size {
        let (mut rest, mut at, mut stride) = (place, 0, bytes.len() / size);
        for &extent in shape.iter().rev() {
            stride /= extent;
            at += rest % extent * stride;
            rest /= extent;
        }
        out.extend_from_slice(&bytes[at * size..(at + 1) * size]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fortran_order_and_byte_order_are_undone() {
        // numpy.asfortranarray([[1, 2, 3], [4, 5, 6]]) lies as 1 4 2 5 3 6.
        let lying: Vec<u8> = [1u16, 4, 2, 5, 3, 6].iter().flat_map(|x| x.to_be_bytes()).collect();
        let element = ElementType::parse(">u2").unwrap();
        let made = tensor(lying, &[2, 3], true, element).unwrap();
        assert_eq!(made.as_slice::<u16>().unwrap(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(ElementType::parse("|O"), None);
        assert!(tensor(vec![0; 5], &[2, 3], false, ElementType::parse("u1").unwrap()).is_none());
        assert!(tensor(vec![], &[usize::MAX, 4], false, ElementType::parse("f8").unwrap()).is_none());
    }
}
