//! `Seat`: where a network sits that is replaced again and again.

/// A network's seat. To be replaced it is taken out, so that its memory has one owner and kernels may write in place.
#[derive(Debug)]
pub struct Seat<D>(Option<D>);

const TAKEN: &str = "a seat is empty only while its network is being replaced";

impl<D> Seat<D> {
    /// The seat of `network`.
    pub fn new(network: D) -> Self {
        Self(Some(network))
    }

    /// Who sits there.
    pub fn network(&self) -> &D {
        self.0.as_ref().expect(TAKEN)
    }

    /// Puts in the network's place what `next` makes of it.
    pub fn replace(&mut self, next: impl FnOnce(D) -> D) {
        let network = self.0.take().expect(TAKEN);
        self.0 = Some(next(network));
    }
}
