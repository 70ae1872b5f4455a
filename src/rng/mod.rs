//! The random streams of torch, numpy and `CPython`, bit for bit, so that seeds mean what they mean there.
