//! What a pickle holds: values, and the objects that they refer to.

use burn::tensor::DType;

use super::{
    super::file_bytes::Span,
    place::{LongText, Place},
};

/// A value; everything larger than a machine word is an object of the same `Pickle`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// `None`
    None,
    /// `True`, `False`
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// An object.
    Object(Id),
}

/// Which object of a `Pickle`. Objects may refer to each other in circles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub(super) u32);

/// An object. Nothing in it was ever called.
#[derive(Clone, Debug)]
pub enum Object {
    /// Text.
    Text(String),
    /// Text that is still in the file: too long for a name.
    LongText(LongText),
    /// Bytes, or the text of a Python 2 pickle.
    Bytes(Blob),
    /// An integer of more than 64 bits, little-endian two's complement.
    BigInt(Vec<u8>),
    /// A tuple.
    Tuple(Vec<Value>),
    /// A list.
    List(Vec<Value>),
    /// A set.
    Set(Vec<Value>),
    /// A dict in order of insertion; of equal keys the last one counts.
    Dict(Vec<(Value, Value)>),
    /// A function or class, by name.
    Global {
        /// `collections`
        module: String,
        /// `OrderedDict`
        name: String,
    },
    /// A call that was not made.
    Instance(Box<Instance>),
    /// The storage of tensors.
    Storage(Storage),
}

/// Where bytes are.
#[derive(Clone, Debug)]
pub enum Blob {
    /// Still in the file.
    Filed(Span),
    /// Short, and here.
    Held {
        /// The bytes.
        bytes: Vec<u8>,
        /// Where they are in the file; unknown for escaped text.
        span: Option<Span>,
    },
}

/// A call of a function or class, and what the pickle would have done with the result.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The `Global` that would have been called.
    pub callee: Id,
    /// The tuple of arguments.
    pub args: Value,
    /// The state that would have been set: usually the dict of attributes.
    pub state: Option<Value>,
    /// Items that would have been set.
    pub items: Vec<(Value, Value)>,
    /// Items that would have been appended.
    pub appended: Vec<Value>,
}

impl Instance {
    /// A call that nothing was done with yet.
    pub(super) fn new(callee: Id, args: Value) -> Self {
        Self { callee, args, state: None, items: Vec::new(), appended: Vec::new() }
    }
}

/// Elements that tensors are views of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Type of an element.
    pub dtype: DType,
    /// Number of elements.
    pub numel: u64,
    /// The elements, little-endian.
    pub data: Place,
}
