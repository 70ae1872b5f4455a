//! Arrays and scalars of numpy, versions 1 and 2.

use burn::tensor::TensorData;

use super::{
    super::ndarray::{self, ElementType},
    object::{Blob, Object, Value},
    reader::Pickle,
    tensor::extents,
};
use crate::Result;

impl Pickle {
    /// A numpy array or scalar; `None` where the value is something else.
    ///
    /// # Errors
    /// `BadFile` for an array of something else than numbers, or whose bytes do not fit its shape.
    pub fn array(&self, value: Value) -> Result<Option<TensorData>> {
        let Some(instance) = self.instance(value) else { return Ok(None) };
        let args = self.items(instance.args).unwrap_or_default();
        let parts = match self.callee(value) {
            Some(("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")) => match *args {
                [dtype, bytes] => Some((dtype, Some(Vec::new()), false, bytes)),
                _ => None,
            },
            // Of an empty array: the state has all of it.
            Some(("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct")) => {
                match *instance.state.and_then(|state| self.items(state)).unwrap_or_default() {
                    [_version, shape, dtype, Value::Bool(fortran), bytes] => {
                        Some((dtype, extents(self, shape), fortran, bytes))
                    }
                    _ => None,
                }
            }
            Some(("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer")) => match *args {
                [bytes, dtype, shape, order] => match self.text(order).as_deref() {
                    Some(order @ ("C" | "F")) => Some((dtype, extents(self, shape), order == "F", bytes)),
                    _ => None,
                },
                _ => None,
            },
            _ => return Ok(None),
        };
        let malformed = || self.bad("a malformed numpy array");
        let (dtype, shape, fortran, bytes) = parts.ok_or_else(malformed)?;
        let made = match (shape, element_type(self, dtype), self.bytes(bytes)?) {
            (Some(shape), Some(element), Some(bytes)) => ndarray::tensor(bytes, &shape, fortran, element),
            _ => None,
        };
        made.map(Some).ok_or_else(malformed)
    }
}

/// The same for arrays of a few numbers, as settings hold them; longer ones are left in the file.
pub(super) fn short_array(pickle: &Pickle, value: Value) -> Result<Option<TensorData>> {
    let Some(instance) = pickle.instance(value) else { return Ok(None) };
    let state = instance.state.and_then(|state| pickle.items(state)).unwrap_or_default();
    let args = pickle.items(instance.args).unwrap_or_default();
    let short = |&value: &Value| match pickle.object(value) {
        Some(Object::Bytes(Blob::Filed(_)) | Object::LongText(_)) => false,
        Some(Object::Instance(inner)) => {
            let text = pickle.items(inner.args).and_then(|args| args.first().copied());
            !text.is_some_and(|text| matches!(pickle.object(text), Some(Object::LongText(_))))
        }
        _ => true,
    };
    if state.iter().chain(args).all(short) { pickle.array(value) } else { Ok(None) }
}

/// `dtype("f8", False, True)` with state `(3, "<", ...)`.
fn element_type(pickle: &Pickle, value: Value) -> Option<ElementType> {
    let instance = pickle.instance(value)?;
    if pickle.global(instance.callee)? != ("numpy", "dtype") {
        return None;
    }
    let code = pickle.text(*pickle.items(instance.args)?.first()?)?;
    let order = instance.state.and_then(|state| pickle.items(state)).and_then(|state| state.get(1));
    let order = order.and_then(|&order| pickle.text(order));
    let mut element = ElementType::parse(&code)?;
    element.big_endian |= order.as_deref() == Some(">");
    Some(element)
}
