//! `TensorView`: a tensor as a pickle describes it, a strided view of a storage.

use burn::tensor::{DType, TensorData};

use super::{
    super::{elements, file_bytes::FileBytes},
    object::{Object, Value},
    place::Place,
    reader::Pickle,
};
use crate::Result;

/// A tensor whose elements are still in the file. `[shape]` and strides count elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorView {
    /// Type of an element.
    pub dtype: DType,
    /// Extent of every dimension.
    pub shape: Vec<usize>,
    /// Steps through the storage.
    pub strides: Vec<usize>,
    /// Storage index of the first element.
    pub offset: usize,
    storage: Place,
}

/// The most dimensions that numpy and torch know.
const DIMENSIONS: usize = 64;

impl Pickle {
    /// The tensor that a value describes, or `None` where it describes something else.
    ///
    /// # Errors
    /// `BadFile` for a tensor that reaches outside its storage.
    pub fn tensor(&self, value: Value) -> Result<Option<TensorView>> {
        let mut value = value;
        // A parameter wraps a tensor, and may be wrapped again.
        for _ in 0..4 {
            let Some(args) = self.instance(value).and_then(|i| self.items(i.args)) else {
                return Ok(None);
            };
            match self.callee(value) {
                Some((
                    "torch._utils" | "torch.nn.parameter",
                    "_rebuild_parameter" | "_rebuild_parameter_with_state" | "Parameter" | "Buffer",
                )) => match args.first() {
                    Some(&inner) => value = inner,
                    None => return Err(self.bad("a parameter without a tensor")),
                },
                Some(("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2")) => {
                    let view = TensorView::from_arguments(self, args);
                    return view
                        .map(Some)
                        .ok_or_else(|| self.bad("a malformed tensor, or one larger than its storage"));
                }
                _ => return Ok(None),
            }
        }
        Err(self.bad("a parameter of a parameter of a parameter"))
    }
}

impl TensorView {
    /// `(storage, offset, size, stride, ...)`
    fn from_arguments(pickle: &Pickle, args: &[Value]) -> Option<Self> {
        let [storage, Value::Int(offset), size, stride, ..] = args else { return None };
        let Some(Object::Storage(storage)) = pickle.object(*storage) else { return None };
        let (shape, strides) = (extents(pickle, *size)?, extents(pickle, *stride)?);
        let offset = usize::try_from(*offset).ok()?;
        if shape.len() != strides.len() {
            return None;
        }
        let numel = usize::try_from(storage.numel).ok()?;
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        if count > 0 {
            let last = shape
                .iter()
                .zip(&strides)
                .try_fold(offset, |at, (&d, &s)| at.checked_add(d.checked_sub(1)?.checked_mul(s)?))?;
            // An expanded tensor repeats elements and could be of any size: whoever reads it asks for `byte_len` first.
            if last >= numel {
                return None;
            }
            count.checked_mul(storage.dtype.size())?;
        }
        Some(Self { dtype: storage.dtype, shape, strides, offset, storage: storage.data })
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Length of the elements when copied out.
    pub fn byte_len(&self) -> u64 {
        self.count() as u64 * self.dtype.size() as u64
    }

    /// Length of the stretch of the storage from the first element to the last.
    pub fn stretch(&self) -> u64 {
        if self.count() == 0 { 0 } else { self.reach() as u64 * self.dtype.size() as u64 }
    }

    fn reach(&self) -> usize {
        self.shape.iter().zip(&self.strides).map(|(&d, &s)| (d - 1) * s).sum::<usize>() + 1
    }

    /// What has to be decoded of the file before the elements can be copied out.
    pub fn decoding(&self) -> u64 {
        self.storage.cost()
    }

    /// Whether the elements lie in the file in row-major order.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1_usize;
        self.shape.iter().zip(&self.strides).rev().all(|(&d, &s)| {
            let fits = d == 1 || s == expected;
            expected = expected.saturating_mul(d);
            fits
        })
    }

    /// Copies the elements out of the file, in row-major order.
    ///
    /// # Errors
    /// `Io` where the file cannot be read any more.
    pub fn read(&self, source: &FileBytes) -> Result<TensorData> {
        let size = self.dtype.size();
        let count = self.count();
        let bytes = if count == 0 {
            Vec::new()
        } else if self.is_contiguous() {
            self.storage.read(source, (self.offset * size) as u64, (count * size) as u64)?
        } else {
            self.gather(source, size)?
        };
        elements::tensor(bytes, &self.shape, self.dtype)
            .ok_or_else(|| source.bad("torch archive", "a malformed tensor"))
    }

    /// Reads the stretch of the storage that holds all elements, then picks them.
    fn gather(&self, source: &FileBytes, size: usize) -> Result<Vec<u8>> {
        let stretch = self.storage.read(source, (self.offset * size) as u64, self.stretch())?;
        Ok(elements::gather(&stretch, size, &self.shape, &self.strides))
    }
}

/// A shape or strides: a tuple of whole numbers.
pub(super) fn extents(pickle: &Pickle, value: Value) -> Option<Vec<usize>> {
    // `torch.Size` is a tuple in another coat.
    let inner = match pickle.callee(value) {
        Some(("torch", "Size")) => *pickle.items(pickle.instance(value)?.args)?.first()?,
        _ => value,
    };
    let extent = |value: &Value| match value {
        Value::Int(extent) => usize::try_from(*extent).ok(),
        _ => None,
    };
    pickle.items(inner).filter(|items| items.len() <= DIMENSIONS)?.iter().map(extent).collect()
}
