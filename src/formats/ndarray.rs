//! Numpy's way of writing arrays down: element codes, byte order, Fortran order.

use burn::tensor::{DType, TensorData};

use super::elements;

/// What numpy's `<f8`, `|u1`, ... say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ElementType {
    pub(super) dtype: DType,
    pub(super) big_endian: bool,
}

impl ElementType {
    /// Reads a code with or without a byte order.
    pub(super) fn parse(code: &str) -> Option<Self> {
        let plain = code.strip_prefix(['<', '>', '|', '=']).unwrap_or(code);
        Some(Self { dtype: elements::of_numpy(plain)?, big_endian: code.starts_with('>') })
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
    if element.big_endian && size > 1 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    let made = elements::tensor(bytes, shape, element.dtype)?;
    if !fortran || shape.len() < 2 || made.num_elements() == 0 {
        return Some(made);
    }
    let step = |stride: &mut usize, extent: &usize| Some(std::mem::replace(stride, *stride * extent));
    let strides: Vec<usize> = shape.iter().scan(1, step).collect();
    elements::tensor(elements::gather(made.as_bytes(), size, shape, &strides), shape, element.dtype)
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
