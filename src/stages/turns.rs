//! Long lists that ranks work on in turns: each makes a chunk of every round, and rank 0 takes all of them in their order, so
//! that the outcome does not depend on the number of ranks.

use std::ops::Range;

use crate::{Error, Result, ranks::Ranks, stop::Stop};

/// What a rank makes of a chunk, on its way to rank 0.
pub(super) trait Packed: Sized {
    /// As bytes.
    fn pack(self) -> Vec<u8>;

    /// From bytes.
    ///
    /// # Errors
    /// They are no such thing.
    fn unpack(bytes: &[u8]) -> Result<Self>;
}

/// Chunks of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns<'a> {
    /// Entries of the list.
    pub(super) total: usize,
    /// Entries of a chunk.
    pub(super) chunk: usize,
    /// Whether to stop before the list is over.
    pub(super) stop: &'a Stop,
}

/// What a message begins with: what was made, or why it was not.
const MADE: u8 = 0;
const FAILED: u8 = 1;
/// There is no number where there has to be one; rank 0 sees for itself.
const NOT_IMAGES: u8 = 2;
/// The list is over.
const NOTHING: u8 = 3;

impl Turns<'_> {
    /// Goes through the list: `make` makes a chunk, `take` takes it on rank 0, `each` hears on every rank how far it is.
    ///
    /// # Errors
    /// The first one in the list's order, on rank 0; `RankLost`; `Interrupted`.
    pub(super) fn go<T: Packed>(
        self,
        ranks: &Ranks,
        mut make: impl FnMut(Range<usize>) -> Result<T>,
        mut take: impl FnMut(Range<usize>, T) -> Result<()>,
        mut each: impl FnMut(usize),
    ) -> Result<()> {
        let chunk = self.chunk.max(1);
        let range = |first: usize| first.min(self.total)..(first + chunk).min(self.total);
        for round in (0..self.total).step_by(chunk * ranks.count()) {
            let own = range(round + chunk * ranks.rank());
            if ranks.are_one() {
                take(own.clone(), make(own.clone())?)?;
            } else {
                let message = if own.is_empty() { vec![NOTHING] } else { message(make(own)) };
                let messages = ranks.gather(message)?;
                ranks.first(|| {
                    for (rank, message) in messages.iter().enumerate() {
                        let range = range(round + chunk * rank);
                        match message.split_first() {
                            Some((&MADE, made)) => take(range, T::unpack(made)?)?,
                            Some((&NOTHING, _)) => {}
                            Some((&NOT_IMAGES, _)) => take(range.clone(), make(range)?)?,
                            Some((_, words)) => {
                                return Err(Error::Unusable(String::from_utf8_lossy(words).into_owned()));
                            }
                            None => return Err(Error::Unusable(format!("rank {rank} sent nothing"))),
                        }
                    }
                    Ok(())
                })?;
            }
            let done = (round + chunk * ranks.count()).min(self.total);
            each(done);
            if done < self.total && ranks.tell(|| self.stop.requested())? {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }
}

fn message<T: Packed>(made: Result<T>) -> Vec<u8> {
    let (kind, bytes) = match made {
        Ok(made) => (MADE, made.pack()),
        Err(Error::NotImages { .. }) => (NOT_IMAGES, Vec::new()),
        Err(error) => (FAILED, error.to_string().into_bytes()),
    };
    [vec![kind], bytes].concat()
}

/// Images: u8 `[n, c, h, w]`.
impl Packed for burn::tensor::TensorData {
    fn pack(self) -> Vec<u8> {
        let dims = self.shape().iter().flat_map(|dim| (*dim as u64).to_le_bytes());
        dims.chain(self.as_bytes().iter().copied()).collect()
    }

    fn unpack(bytes: &[u8]) -> Result<Self> {
        let broken = || Error::Unusable("a rank sent no images".to_owned());
        let (dims, values) = bytes.split_at_checked(4 * 8).ok_or_else(broken)?;
        let dims: Vec<usize> = dims
            .chunks(8)
            .map(|dim| u64::from_le_bytes(dim.try_into().expect("chunks of 8")) as usize)
            .collect();
        let count = dims.iter().try_fold(1usize, |all, dim| all.checked_mul(*dim));
        if count != Some(values.len()) {
            return Err(broken());
        }
        Ok(Self::new(values.to_vec(), dims))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn images_arrive_as_they_were_sent_and_nothing_else_does() {
        let images = TensorData::new((0..24u8).collect::<Vec<_>>(), [2, 3, 2, 2]);
        let packed = images.clone().pack();
        assert_eq!(TensorData::unpack(&packed).unwrap(), images);
        assert!(TensorData::unpack(&packed[..packed.len() - 1]).is_err());
        assert!(TensorData::unpack(&packed[..7]).is_err());
        assert!(TensorData::unpack(&[0xff; 40]).is_err());
    }

    #[test]
    fn one_rank_takes_what_it_makes_in_order() {
        let mut taken = Vec::new();
        let mut heard = Vec::new();
        let make = |range: Range<usize>| {
            Ok(TensorData::new(vec![range.start as u8; range.len()], [range.len(), 1, 1, 1]))
        };
        let take = |range: Range<usize>, made: TensorData| {
            taken.push((range, made.as_bytes()[0]));
            Ok(())
        };
        let stop = Stop::default();
        let turns = Turns { total: 10, chunk: 4, stop: &stop };
        turns.go(&Ranks::alone(), make, take, |done| heard.push(done)).unwrap();
        assert_eq!(taken, [(0..4, 0), (4..8, 4), (8..10, 8)]);
        assert_eq!(heard, [4, 8, 10]);
        let stopped = turns.go(
            &Ranks::alone(),
            make,
            |_, _| Ok(()),
            |done| {
                if done == 8 {
                    stop.ask();
                }
            },
        );
        assert!(matches!(stopped, Err(Error::Interrupted)));
    }
}
