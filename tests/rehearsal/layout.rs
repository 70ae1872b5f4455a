//! The snapshots that are rehearsed with are laid out as those that the release wrote.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use sida::{
    checkpoint::{ReferenceNetwork, ReferenceSnapshot},
    formats::{
        FileBytes,
        pickle::{Pickle, Value},
    },
};

use super::{snapshot, torch};
use crate::program::root;

const RECORDED: [&str; 2] = [
    "pickle-01-edm-snapshot/network-snapshot-000512.pkl",
    "pickle-03-edm2-posthoc/edm2-tiny-0000512-0.135.pkl",
];

/// Classes of a network's modules, by their paths.
fn classes(pickle: &Pickle, module: Value, path: &str, into: &mut BTreeMap<String, String>) {
    let instance = pickle.instance(module).unwrap();
    let meta = pickle.items(instance.args).unwrap().first().copied();
    let (class, state) = match meta {
        Some(meta) => (
            pickle.text(pickle.get(meta, "class_name").unwrap()).unwrap().into_owned(),
            pickle.get(meta, "state").unwrap(),
        ),
        None => (pickle.callee(module).unwrap().1.to_owned(), instance.state.unwrap()),
    };
    into.insert(path.to_owned(), class);
    for (name, module) in pickle.fields(pickle.get(state, "_modules").unwrap()).unwrap() {
        classes(pickle, module, &format!("{path}.{name}"), into);
    }
}

#[test]
fn snapshots_are_laid_out_as_recorded_ones() {
    let fixtures = root().join("tests/fixtures");
    for file in RECORDED {
        let recorded = ReferenceSnapshot::open(fixtures.join(file)).unwrap();
        let network = recorded.ema().unwrap();
        let config = network.config().unwrap();
        let write = if config.is_edm2() { snapshot::edm2 } else { snapshot::edm };
        let bytes = write(&config, &network.state_dict);
        let written = ReferenceSnapshot::read(FileBytes::memory("written.pkl", bytes)).unwrap();
        let again = written.ema().unwrap();
        assert_eq!(again.config().unwrap(), config);
        assert_eq!((&again.class_name, &again.init_args), (&network.class_name, &network.init_args));
        let arguments =
            |network: &ReferenceNetwork| network.init_kwargs.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(arguments(&again), arguments(&network));
        assert!(again.state_dict.iter().eq(network.state_dict.iter()), "{file}: other tensors");
        assert_eq!(again.parameters, network.parameters);
        let encoder = |snapshot: &ReferenceSnapshot| {
            snapshot
                .encoder()
                .unwrap()
                .map(|encoder| (encoder.class_name, encoder.vae_name, encoder.scale, encoder.bias))
        };
        assert_eq!(encoder(&written), encoder(&recorded));

        let globals = |snapshot: &ReferenceSnapshot| {
            snapshot.pickle().globals().map(str::to_owned).collect::<BTreeSet<_>>()
        };
        assert!(globals(&written).is_subset(&globals(&recorded)), "{:?}", globals(&written));
        let [of_written, of_recorded] = [&written, &recorded].map(|snapshot| {
            let (pickle, mut found) = (snapshot.pickle(), BTreeMap::new());
            classes(pickle, pickle.get(pickle.root(), "ema").unwrap(), "", &mut found);
            found
        });
        assert!(of_written.len() > 40);
        for (path, class) in of_written {
            assert_eq!(of_recorded.get(&path), Some(&class), "{path}");
        }
        if config.is_edm2() {
            let storage = torch::storage(&network.state_dict["unet.out_gain"]);
            let file = fs::read(fixtures.join(file)).unwrap();
            assert!(file.windows(storage.len()).any(|bytes| bytes == storage), "torch writes other storages");
        }
    }
}
