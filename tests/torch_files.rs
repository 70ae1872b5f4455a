//! The ways in which torch writes weights down, and networks that were wrapped when it did: all hold the same numbers.
//! `tests/torch_files/make.py` made the files.

use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use sida::{checkpoint::TorchFile, state_dict::StateDict};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torch_files").join(name)
}

fn state_dict(name: &str) -> StateDict {
    match TorchFile::open(file(name)) {
        Ok(TorchFile::StateDict(state)) => state,
        other => panic!("{name}: {other:?}"),
    }
}

/// As `make.py` makes it, in torch's own order of operations.
fn weight() -> TensorData {
    let values: Vec<f32> = (0..300).map(|i| i as f32 * 0.37 - 50.0).collect();
    TensorData::new(values, [20, 15])
}

#[test]
fn state_dicts_are_the_same_in_every_protocol_and_wrapper() {
    let bytes = TensorData::new((0..=255).collect::<Vec<u8>>(), [256]);
    let expanded = TensorData::new(vec![2.5f32; 12], [3, 4]);
    for name in [
        "protocol-0.pkl",
        "protocol-1.pkl",
        "protocol-2.pkl",
        "protocol-4.pkl",
        "legacy-1.pth",
        "legacy-2.pth",
        "legacy-4.pth",
        "nested.pth",
        "wrapped.pth",
    ] {
        let state = state_dict(name);
        assert_eq!(state.keys().collect::<Vec<_>>(), ["weight", "bytes", "expanded"], "{name}");
        assert_eq!(state["weight"], weight(), "{name}");
        assert_eq!((&state["bytes"], &state["expanded"]), (&bytes, &expanded), "{name}");
    }
}

#[test]
fn whole_modules_are_read_with_and_without_their_sources_and_wrappers() {
    for name in ["module.pt", "module-legacy.pt", "module-parallel.pt"] {
        let state = state_dict(name);
        assert_eq!(state.keys().collect::<Vec<_>>(), ["0.weight", "0.bias"], "{name}");
        assert_eq!(state["0.weight"], weight(), "{name}");
    }
}

/// What cannot be told apart by its name is told apart by what is in it.
#[test]
fn training_states_and_snapshots_are_known_whatever_they_are_called() {
    let fixture = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let state = fixture("pickle-06-sida-training-state/training-state-000012.pt");
    assert!(matches!(TorchFile::open(state), Ok(TorchFile::TrainingState(_))));
    let snapshot = fixture("pickle-01-edm-snapshot/network-snapshot-000512.pkl");
    assert!(matches!(TorchFile::open(snapshot), Ok(TorchFile::Snapshot(_))));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torchscript/module.pt");
    assert!(matches!(TorchFile::open(script), Ok(TorchFile::Script(_))));
}
