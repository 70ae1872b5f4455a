//! Arrays and scalars of numpy, versions 1 and 2.

use burn::tensor::TensorData;

use super::{
    super::ndarray::{self, ElementType},
    object::{Blob, Object, Value},
    reader::Pickle,
};
use crate::Result;

/// Bytes of an array that may stand in a setting.
const SHORT: usize = 1024;

/// A numpy array or scalar; `None` where the value is something else.
pub(super) fn array(pickle: &Pickle, value: Value) -> Result<Option<TensorData>> {
    let Some((module, name)) = pickle.callee(value) else { return Ok(None) };
    let made = match (module, name) {
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => scalar(pickle, value)?,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => reconstruct(pickle, value)?,
        ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => from_buffer(pickle, value)?,
        _ => return Ok(None),
    };
    made.map(Some).ok_or_else(|| pickle.bad("a malformed numpy array"))
}

/// The same for arrays of a few numbers, as settings hold them; longer ones are left in the file.
pub(super) fn short_array(pickle: &Pickle, value: Value) -> Result<Option<TensorData>> {
    let Some(instance) = pickle.instance(value) else { return Ok(None) };
    let state = instance.state.and_then(|state| pickle.items(state)).unwrap_or_default();
    let args = pickle.items(instance.args).unwrap_or_default();
    let short = |&value: &Value| match pickle.object(value) {
        Some(Object::Bytes(Blob::Filed(_))) => false,
        Some(Object::Instance(inner)) => {
            let text = pickle.items(inner.args).and_then(|args| args.first().copied());
            text.and_then(|text| pickle.text(text)).is_none_or(|text| text.len() <= SHORT)
        }
        _ => true,
    };
    if state.iter().chain(args).all(short) { array(pickle, value) } else { Ok(None) }
}

/// `scalar(dtype, bytes)`
fn scalar(pickle: &Pickle, value: Value) -> Result<Option<TensorData>> {
    let args = pickle.instance(value).and_then(|i| pickle.items(i.args));
    let Some(&[dtype, bytes]) = args else { return Ok(None) };
    let (Some(element), Some(bytes)) = (element_type(pickle, dtype), pickle.bytes(bytes)?) else {
        return Ok(None);
    };
    Ok(ndarray::tensor(bytes, &[], false, element))
}

/// State `(version, shape, dtype, is_fortran, bytes)` of an empty array.
fn reconstruct(pickle: &Pickle, value: Value) -> Result<Option<TensorData>> {
    let state = pickle.instance(value).and_then(|i| i.state).and_then(|state| pickle.items(state));
    let Some(&[_, shape, dtype, Value::Bool(fortran), bytes]) = state else { return Ok(None) };
    make(pickle, bytes, dtype, shape, fortran)
}

/// `_frombuffer(bytes, dtype, shape, "C" or "F")`
fn from_buffer(pickle: &Pickle, value: Value) -> Result<Option<TensorData>> {
    let args = pickle.instance(value).and_then(|i| pickle.items(i.args));
    let Some(&[bytes, dtype, shape, order]) = args else { return Ok(None) };
    let fortran = match pickle.text(order).as_deref() {
        Some("C") => false,
        Some("F") => true,
        _ => return Ok(None),
    };
    make(pickle, bytes, dtype, shape, fortran)
}

fn make(
    pickle: &Pickle,
    bytes: Value,
    dtype: Value,
    shape: Value,
    fortran: bool,
) -> Result<Option<TensorData>> {
    let extent = |value: &Value| match value {
        Value::Int(extent) => usize::try_from(*extent).ok(),
        _ => None,
    };
    let shape: Option<Vec<usize>> = pickle.items(shape).and_then(|items| items.iter().map(extent).collect());
    let (Some(shape), Some(element), Some(bytes)) =
        (shape, element_type(pickle, dtype), pickle.bytes(bytes)?)
    else {
        return Ok(None);
    };
    Ok(ndarray::tensor(bytes, &shape, fortran, element))
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
