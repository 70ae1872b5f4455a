//! Ranks: the processes that work on one run together, one for each device, on one machine or on several.
//!
//! What started them says which of them a process is (`place`). They meet at the first one (`meeting`), prove to each
//! other that they know the same secret (`handshake`), and are connected each with each (`mesh`), for sums of tensors
//! (`sums`) and for words. A second connection with the first rank is for news alone (`watch`): whoever dies, or is not
//! heard of any more, ends all, and everybody says who it was.

mod environment;
mod handshake;
mod links;
mod meeting;
mod mesh;
mod place;
mod shown;
mod sums;
mod watch;
mod wire;

pub use handshake::unguessable;
pub use links::{PATIENCE, Ranks};
pub use place::{Place, Start};
pub use shown::shown;

#[cfg(test)]
mod tests;
