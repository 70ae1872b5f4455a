//! Data parallelism in small: what a real `Replicas` will be asked to do is enough.

use std::{
    ops::Range,
    sync::{Barrier, Mutex},
    thread,
};

use super::*;

/// One of two replicas in two threads.
struct OneOfTwo<'a> {
    index: u64,
    all: &'a Mutex<[Option<Tensor<1>>; 2]>,
    meet: &'a Barrier,
}

impl Replicas for OneOfTwo<'_> {
    fn share(&self, batch_size: u64) -> Range<u64> {
        let half = batch_size / 2;
        self.index * half..(self.index + 1) * half
    }

    fn are_one(&self) -> bool {
        false
    }

    fn reduce(&self, own: Tensor<1>) -> crate::Result<Tensor<1>> {
        self.all.lock().unwrap()[self.index as usize] = Some(own);
        self.meet.wait();
        let all = self.all.lock().unwrap().clone();
        self.meet.wait();
        Ok(all.into_iter().flatten().reduce(|first, second| first + second).unwrap())
    }
}

fn four_iterations(recipe: &Distill, replicas: &impl Replicas) -> (Vec<Iteration>, StateDict) {
    let mut trainer = trainer(recipe, Gaussian::new(0.1, 0.9));
    let mut supply = supply(recipe);
    let iterations = (0..4).map(|_| trainer.step(&mut supply, replicas).unwrap().wait()).collect();
    (iterations, trainer.state())
}

#[test]
fn two_replicas_with_half_a_batch_each_learn_bit_for_bit_what_one_does_with_all_of_it() {
    let recipe = recipe(sida(0.0, 0.008), serde_json::json!({ "microbatch_size": 1 }));
    let (whole, state) = four_iterations(&recipe, &Ranks::alone());
    let (all, meet) = (Mutex::new([None, None]), Barrier::new(2));
    let replicas = [0, 1].map(|index| OneOfTwo { index, all: &all, meet: &meet });
    let [first, second] = thread::scope(|scope| {
        let threads = replicas.each_ref().map(|replica| scope.spawn(|| four_iterations(&recipe, replica)));
        threads.map(|thread| thread.join().unwrap())
    });
    let sums = |iterations: &[Iteration]| -> Vec<Iteration> {
        iterations.iter().map(|iteration| Iteration { rounds: Vec::new(), ..iteration.clone() }).collect()
    };
    for (half, state_of_half) in [&first, &second] {
        assert_eq!(sums(half), sums(&whole));
        assert_eq!(*state_of_half, state);
    }
    for ((whole, first), second) in whole.iter().zip(&first.0).zip(&second.0) {
        for phase in [Phase::FakeScore, Phase::Generator] {
            let of = |iteration: &Iteration| -> Vec<_> {
                iteration.rounds.iter().filter(|round| round.phase == phase).cloned().collect()
            };
            assert_eq!([of(first), of(second)].concat(), of(whole), "each has the rounds of its own half");
        }
    }
}
