//! Rounds that are replayed from a graph come to the same numbers, bit for bit, as those that are launched one by one.

use std::{
    io::{self, Write},
    sync::mpsc::{self, Sender},
};

use libtest_mimic::{Failed, Trial};
use sida::{cli::device, kernels};

use crate::work::{self, Subject, Work};

/// The first round runs as it is, the second is recorded, the others are replayed. (SiDA's adversarial term takes part from the
/// second iteration on.)
const ITERATIONS: usize = 3;
/// SiDA reads all that there is to read; of EDM2 the weights are normalised before each of two rounds.
const WORKS: [(&str, &str, usize); 2] = [("ddpmpp", "sida", 1), ("edm2", "teacher", 2)];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |(name, work, rounds): (&'static str, &'static str, usize)| {
        Trial::test(format!("{name} {work} by graphs"), move || {
            let subject = work::emulated().into_iter().find(|subject| subject.name == name);
            same(subject.expect("a network that is emulated"), work, rounds)
        })
    };
    WORKS.map(trial).into()
}

fn same(subject: Subject, work: &str, rounds: usize) -> Result<(), Failed> {
    let (gpu, _) = device::choose("cuda:0")?;
    let name = subject.name;
    let mut subject = subject.in_rounds(name, rounds);
    // What training drops of labels is drawn, too.
    if let Some(network) = subject.network.get_mut("ddpmpp") {
        network["label_dropout"] = 0.5.into();
    }
    kernels::allow_tf32(subject.tf32);
    let run = |subject: &Subject| {
        let mut work = Work::new(work, subject, &gpu);
        let losses: Vec<Vec<f64>> = (0..ITERATIONS).map(|_| work.step()).collect();
        (losses, work.state())
    };
    let (plain, (replayed, said)) = (run(&subject), listened(|| run(&subject.clone().by_graphs(name))));
    // A device that records nothing says so, and comes to the same numbers.
    if said.contains("graphs") {
        return Err(said.into());
    }
    println!("{name} {work}: {:?}", plain.0);
    if plain.0 != replayed.0 {
        return Err(format!("{:?} instead of {:?}", replayed.0, plain.0).into());
    }
    let other = |name: &&String| plain.1[*name] != replayed.1[*name];
    match plain.1.keys().find(other) {
        Some(name) => Err(format!("{name} is another").into()),
        None => Ok(()),
    }
}

/// What comes out, and what is said of it meanwhile.
fn listened<T>(run: impl FnOnce() -> T) -> (T, String) {
    struct To(Sender<Vec<u8>>);
    impl Write for To {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (sender, said) = mpsc::channel();
    let subscriber = tracing_subscriber::fmt().with_writer(move || To(sender.clone())).finish();
    let output = tracing::subscriber::with_default(subscriber, run);
    (output, String::from_utf8_lossy(&said.try_iter().collect::<Vec<_>>().concat()).into_owned())
}
