//! Sums over ranks, in one order: a binary tree over the ranks, ((0+1)+(2+3))+..., whoever computes which part of it.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    ops::Range,
    thread,
};

/// Values that are received and added at a time.
const CHUNK: usize = 1 << 14;
/// A message of so many bytes fits between two ranks though nobody reads it yet.
const SMALL: usize = 32 << 10;

/// Adds up the values of all ranks; each has the sum then. `peers[rank]` leads to that rank; `step` is the same number on
/// all of them.
pub(super) fn sum(peers: &[Option<TcpStream>], rank: usize, step: u64, values: &mut [f32]) -> io::Result<()> {
    let sum = Sum { peers, rank, step, len: values.len() as u64 };
    if peers.len().is_power_of_two() { sum.by_halves(values) } else { sum.by_all(values) }
}

struct Sum<'a> {
    peers: &'a [Option<TcpStream>],
    rank: usize,
    step: u64,
    len: u64,
}

impl Sum<'_> {
    /// Pairs of ranks, of pairs, and so on: each side adds up half of what both have, and later gives it to the other.
    /// Every rank sends and receives twice the values, but for a share (Rabenseifner 2004).
    fn by_halves(&self, values: &mut [f32]) -> io::Result<()> {
        let mut given = Vec::new();
        let mut range = 0..values.len();
        let mut distance = 1;
        while distance < self.peers.len() {
            let middle = range.start + range.len() / 2;
            let (low, high) = (range.start..middle, middle..range.end);
            let is_low = self.rank & distance == 0;
            let (own, other) = if is_low { (low, high) } else { (high, low) };
            let (own_values, other_values) = two(values, &own, &other);
            self.both(distance, other_values, |stream| add(stream, own_values))?;
            given.push((distance, other));
            range = own;
            distance *= 2;
        }
        for (distance, other) in given.into_iter().rev() {
            let (own_values, other_values) = two(values, &range, &other);
            let receive = |mut stream: &TcpStream| stream.read_exact(bytemuck::cast_slice_mut(other_values));
            self.both(distance, own_values, receive)?;
            range = range.start.min(other.start)..range.end.max(other.end);
        }
        Ok(())
    }

    /// Where ranks do not come in pairs: the sum goes down to rank 0, and from there to all.
    fn by_all(&self, values: &mut [f32]) -> io::Result<()> {
        let mut from = Vec::new();
        let mut distance = 1;
        while distance < self.peers.len() && self.rank & distance == 0 {
            from.extend(Some(self.rank + distance).filter(|other| *other < self.peers.len()));
            distance *= 2;
        }
        for other in &from {
            let stream = self.peer(*other)?;
            self.expect(stream)?;
            add(stream, values)?;
        }
        if self.rank > 0 {
            let mut stream = self.peer(self.rank - distance)?;
            self.announce(stream)?;
            stream.write_all(bytemuck::cast_slice(values))?;
            stream.read_exact(bytemuck::cast_slice_mut(values))?;
        }
        for other in from.iter().rev() {
            self.peer(*other)?.write_all(bytemuck::cast_slice(values))?;
        }
        Ok(())
    }

    fn peer(&self, rank: usize) -> io::Result<&TcpStream> {
        self.peers[rank].as_ref().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Sends `out` to the rank at this distance, while `receive` receives from it.
    fn both(
        &self,
        distance: usize,
        out: &[f32],
        receive: impl FnOnce(&TcpStream) -> io::Result<()>,
    ) -> io::Result<()> {
        let stream = self.peer(self.rank ^ distance)?;
        let send = || {
            self.announce(stream)?;
            (&*stream).write_all(bytemuck::cast_slice(out))
        };
        let receive = || self.expect(stream).and_then(|()| receive(stream));
        if size_of_val(out) <= SMALL {
            send()?;
            return receive();
        }
        thread::scope(|scope| {
            let sending = scope.spawn(send);
            let received = receive();
            if received.is_err() {
                // Who waits for the other side to read waits no longer.
                let _ = stream.shutdown(Shutdown::Both);
            }
            received.and(sending.join().unwrap_or_else(|_| Err(ErrorKind::Other.into())))
        })
    }

    /// Says which sum, and of how many values, so that nobody takes it for another.
    fn announce(&self, mut to: &TcpStream) -> io::Result<()> {
        to.write_all(bytemuck::bytes_of(&[self.step, self.len]))
    }

    fn expect(&self, mut from: &TcpStream) -> io::Result<()> {
        let mut said = [0u64; 2];
        from.read_exact(bytemuck::bytes_of_mut(&mut said))?;
        if said == [self.step, self.len] {
            return Ok(());
        }
        let [step, len] = said;
        let problem =
            format!("a rank adds {len} values at step {step}, this one {} at step {}", self.len, self.step);
        Err(io::Error::new(ErrorKind::InvalidData, problem))
    }
}

/// Adds what comes. Whose is added to whose makes no difference to a sum of two.
fn add(mut stream: &TcpStream, values: &mut [f32]) -> io::Result<()> {
    let mut received = vec![0f32; CHUNK.min(values.len())];
    for values in values.chunks_mut(CHUNK) {
        let received = &mut received[..values.len()];
        stream.read_exact(bytemuck::cast_slice_mut(received))?;
        values.iter_mut().zip(&*received).for_each(|(own, other)| *own += other);
    }
    Ok(())
}

/// Two ranges of values that do not meet.
fn two<'a>(values: &'a mut [f32], a: &Range<usize>, b: &Range<usize>) -> (&'a mut [f32], &'a mut [f32]) {
    let in_order = (a.start, a.end) <= (b.start, b.end);
    let (first, second) = if in_order { (a, b) } else { (b, a) };
    let (low, high) = values.split_at_mut(first.end);
    let low = &mut low[first.clone()];
    let high = &mut high[second.start - first.end..second.end - first.end];
    if in_order { (low, high) } else { (high, low) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Connections of so many ranks, each with each.
    fn mesh(ranks: usize) -> Vec<Vec<Option<TcpStream>>> {
        let mut all: Vec<Vec<Option<TcpStream>>> =
            (0..ranks).map(|_| (0..ranks).map(|_| None).collect()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for low in 0..ranks {
            for high in low + 1..ranks {
                all[low][high] = Some(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
                all[high][low] = Some(listener.accept().unwrap().0);
            }
        }
        all
    }

    /// A number that does not add up to the same in every order.
    fn value(rank: usize, i: usize) -> f32 {
        let mixed = (rank * 7919 + i + 1).wrapping_mul(2654435761) as u32;
        (mixed as f32 - 2e9) * if mixed.is_multiple_of(3) { 1.0 } else { 1e-7 }
    }

    #[test]
    fn every_rank_has_the_sum_in_the_order_of_a_tree() {
        for ranks in 1..=8 {
            for len in [0, 1, 2, 5, 1000, 3 * CHUNK + 7] {
                let sums: Vec<Vec<f32>> = thread::scope(|scope| {
                    let run = |(rank, peers): (usize, Vec<Option<TcpStream>>)| {
                        scope.spawn(move || {
                            let mut values: Vec<f32> = (0..len).map(|i| value(rank, i)).collect();
                            sum(&peers, rank, 3, &mut values).unwrap();
                            values
                        })
                    };
                    let threads: Vec<_> = mesh(ranks).into_iter().enumerate().map(run).collect();
                    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
                });
                for i in 0..len {
                    let mut level: Vec<f32> = (0..ranks).map(|rank| value(rank, i)).collect();
                    while level.len() > 1 {
                        level = level
                            .chunks(2)
                            .map(|pair| pair.iter().copied().reduce(|a, b| a + b).unwrap())
                            .collect();
                    }
                    assert!(
                        sums.iter().all(|sum| sum[i].to_bits() == level[0].to_bits()),
                        "{ranks} ranks, {i} of {len}"
                    );
                }
            }
        }
    }

    #[test]
    fn sums_of_different_steps_are_not_mixed() {
        let [a, b] = <[_; 2]>::try_from(mesh(2)).unwrap();
        let other = thread::spawn(move || sum(&b, 1, 8, &mut [1.0, 2.0]));
        let error = sum(&a, 0, 7, &mut [1.0, 2.0]).unwrap_err();
        assert!(error.to_string().contains("step 8"), "{error}");
        assert!(other.join().unwrap().is_err());
    }
}
