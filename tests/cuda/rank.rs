//! What a process does that is one rank of several. It ends well where everything was as it has to be.

use std::{
    env,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    time::Duration,
};

use burn::tensor::{Device, Tensor};
use sida::{
    Result,
    cli::device,
    kernels::{self, Nccl, Seat},
    seed::{Phase, Seed},
    training::Replicas,
};

use crate::{
    budgets, emulated,
    work::{self, Work},
};

pub(crate) const ASKED: &str = "TEST_CUDA_RANK";

/// Lengths of tensors: within what memory is handed out in, not a multiple of that, and larger than a socket's buffers.
const LENGTHS: [usize; 4] = [1, 3, 12_345, 1 << 20];

/// A replica that reduces on its device.
pub(crate) struct Seated(pub(crate) Seat);

impl Replicas for Seated {
    fn share(&self, batch_size: u64) -> Range<u64> {
        let Seat { rank, ranks } = self.0;
        let own = batch_size / ranks as u64;
        rank as u64 * own..(rank as u64 + 1) * own
    }

    fn are_one(&self) -> bool {
        false
    }

    fn reduce(&self, own: Tensor<1>) -> Result<Tensor<1>> {
        Ok(kernels::all_reduce(own, self.0).expect("it is CUDA's"))
    }
}

/// What this process is to do as a rank of others: `WHAT RANK RANKS ADDRESS`.
pub(crate) fn asked() -> Option<String> {
    env::var(ASKED).ok()
}

/// Does it.
pub(crate) fn work(asked: &str) {
    let words: Vec<&str> = asked.split(' ').collect();
    let [what, rank, ranks, address] = words[..] else { panic!("`{asked}` is no rank") };
    let number = |word: &str| word.parse::<usize>().expect("a number");
    let seat = Seat { rank: number(rank), ranks: number(ranks) };
    kernels::meet_at(address);
    let (device, _) = device::choose("cuda:0").unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(kernels::nccl(&device), Some(Nccl::Found(_))));
    let join = |seconds| kernels::join(&device, seat, Duration::from_secs(seconds));
    match what {
        "counts" => join(60).map(|()| counts(seat, &device)).expect("it joins"),
        "sums" => join(60).map(|()| sums(seat, &device)).expect("it joins"),
        "learns" => join(60).map(|()| learns(seat, &device)).expect("it joins"),
        "dies" => join(60).map(|()| dies(seat, &device)).expect("it joins"),
        "differs" => join(60).map(|()| differs(seat, &device)).expect("it joins"),
        "waits" => println!("{}", join(1).expect_err("nobody else comes")),
        "joins-otherwise" => println!("{}", join(60).expect_err("ranks do not agree")),
        // Whoever does not ask finds it in what it reads.
        "goes-on" => lost(&sum(Tensor::ones([5], &device), seat)),
        _ => panic!("`{what}` is nothing that a rank does"),
    }
}

fn sum(own: Tensor<1>, seat: Seat) -> Tensor<1> {
    kernels::all_reduce(own, seat).expect("it is CUDA's")
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    kernels::read(tensor).wait().try_into_vec().expect("f32")
}

/// Reading this, and what is computed from it, fails.
fn lost(sum: &Tensor<1>) {
    for tensor in [sum.clone(), sum.clone() * 2.0 + 1.0] {
        assert!(catch_unwind(AssertUnwindSafe(|| values(tensor))).is_err(), "numbers where there are none");
    }
    println!("lost");
}

/// Says where in the trace the sums begin and end: nothing at all; one in place; one of a tensor that others hold too.
fn counts(seat: Seat, device: &Device) {
    let mark = || budgets::mark(device);
    let own = Tensor::ones([100_000], device);
    mark();
    mark();
    let own = sum(own, seat);
    mark();
    let others = own.clone();
    let both = sum(own, seat);
    mark();
    drop((both, others));
}

/// Several lengths, several times, among kernels that make what is summed and use what comes out.
fn sums(seat: Seat, device: &Device) {
    let drawn = |rank: usize, round: u64, length: usize| {
        Seed(rank as u64).at(Phase::Sample, round).purpose("values").normals(0..1, length)
    };
    for (round, length) in (0..3).flat_map(|round| LENGTHS.map(|length| (round, length))) {
        let own = Tensor::<1>::from_floats(&drawn(seat.rank, round, length)[..], device);
        let doubled = own.clone() * 2.0;
        let held = doubled.clone();
        let twice = sum(sum(doubled, seat) * 0.25, seat) + 1.0;
        let expected: Vec<f32> = (0..length)
            .zip(drawn(0, round, length).into_iter().zip(drawn(1, round, length)))
            .map(|(_, (first, second))| (first * 2.0 + second * 2.0) * 0.25 * 2.0 + 1.0)
            .collect();
        assert_eq!(values(twice), expected, "round {round}, {length} values");
        assert_eq!(values(held), values(own * 2.0), "what others hold stays");
    }
}

/// An iteration of two ranks is that of one, but for the order in which the gradients of samples are added. (By TF32 what
/// differs in the last digit is rounded to numbers that are farther apart.)
fn learns(seat: Seat, device: &Device) {
    let subject = &work::emulated()[0];
    assert!(subject.batch.is_multiple_of(seat.ranks), "each has a share");
    kernels::allow_tf32(false);
    for what in ["teacher", "sid"] {
        let mut alone = Work::new(what, subject, device);
        let mut of_two = Work::new(what, subject, device).among(Seated(seat));
        let (wanted, found) = (alone.step(), of_two.step());
        let gap = emulated::judge((&found, &of_two.state()), (&wanted, &alone.state()), subject.precision);
        match gap {
            Ok(gap) if gap < 1e-3 => println!("{what}: within {gap:.1e}"),
            Ok(gap) => panic!("{what}: apart by {gap:.1e}"),
            Err(error) => panic!("{what}: {}", error.message().unwrap_or_default()),
        }
    }
}

/// One is gone between two sums.
fn dies(seat: Seat, device: &Device) {
    let before = sum(Tensor::ones([1000], device), seat);
    assert_eq!(values(before.clone()), [2.0; 1000]);
    if seat.rank == 1 {
        process::exit(0);
    }
    lost(&sum(before, seat));
}

/// Ranks do not sum equally many values.
fn differs(seat: Seat, device: &Device) {
    lost(&sum(Tensor::ones([1000 + seat.rank], device), seat));
}
