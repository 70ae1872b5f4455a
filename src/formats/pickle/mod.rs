//! Pickles, read without executing anything.
//!
//! A pickle is a program for a stack machine. This reader runs only the instructions that build data; where
//! the program would call a function or make an object, the request is kept as an inert `Instance`, and only
//! if the function or class is on the list in `globals.rs`, or is a class of TorchScript (`script.rs`). Everything
//! else is `Error::ForbiddenGlobal`. Memory, instructions, memo and nesting are bounded, and long byte strings stay
//! in the file until wanted.

mod budget;
mod calls;
mod globals;
mod json;
mod literals;
mod machine;
mod numpy;
mod object;
mod place;
mod reader;
mod script;
mod stack;
mod tensor;
mod torch_file;

pub use object::{Blob, Id, Instance, Object, Storage, Value};
pub use place::{LongText, Place};
pub use reader::Pickle;
pub use tensor::TensorView;
