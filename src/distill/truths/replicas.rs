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

    fn reduce(&self, own: Tensor<1>) -> Tensor<1> {
        self.all.lock().unwrap()[self.index as usize] = Some(own);
        self.meet.wait();
        let all = self.all.lock().unwrap().clone();
        self.meet.wait();
        all.into_iter().flatten().reduce(|first, second| first + second).unwrap()
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
    let (whole, state) = four_iterations(&recipe, &Alone);
    let (all, meet) = (Mutex::new([None, None]), Barrier::new(2));
    let replicas = [0, 1].map(|index| OneOfTwo { index, all: &all, meet: &meet });
    let [first, second] = thread::scope(|scope| {
        let threads = replicas.each_ref().map(|replica| scope.spawn(|| four_iterations(&recipe, replica)));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(first, second);
    assert_eq!(first.1, state);
    for (whole, half) in whole.iter().zip(&first.0) {
        // A round of two replicas is one round of each.
        assert_eq!(2 * half.rounds.len(), whole.rounds.len());
        assert_eq!(
            Iteration { rounds: Vec::new(), ..whole.clone() },
            Iteration { rounds: Vec::new(), ..half.clone() }
        );
    }
}
