//! Networks that were wrapped when they were saved: `DataParallel` and `DistributedDataParallel` call the network within
//! them `module`, `torch.compile` calls it `_orig_mod`.

use crate::{
    formats::pickle::{Pickle, Value},
    state_dict::StateDict,
    terminal,
};

/// What the names of a wrapped network's tensors begin with.
const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];
/// Classes of wrappers.
const CLASSES: [(&str, &str); 3] = [
    ("torch.nn.parallel.data_parallel", "DataParallel"),
    ("torch.nn.parallel.distributed", "DistributedDataParallel"),
    ("torch._dynamo.eval_frame", "OptimizedModule"),
];
/// Nobody wraps more often.
const DEEPEST: usize = 8;

/// Leaves out what all names begin with because the network was wrapped, and says so. `origin` is the file.
pub fn unwrapped(state: StateDict, origin: &str) -> StateDict {
    let (state, left_out) = stripped(state);
    say(&left_out, origin);
    state
}

pub(super) fn say(left_out: &str, origin: &str) {
    if !left_out.is_empty() {
        tracing::info!("{origin}: all names begin with `{left_out}`, as a wrapper's do: it is left out");
    }
}

/// The names without what all of them begin with, and that.
pub(super) fn stripped(mut state: StateDict) -> (StateDict, String) {
    let mut left_out = String::new();
    let all_begin = |state: &StateDict, prefix: &&&str| state.keys().all(|name| name.starts_with(**prefix));
    while let Some(prefix) = PREFIXES.iter().find(|prefix| !state.is_empty() && all_begin(&state, prefix)) {
        state = state.into_iter().map(|(name, data)| (name[prefix.len()..].to_owned(), data)).collect();
        left_out += prefix;
    }
    (state, left_out)
}

/// The network in a wrapper, which is pickled with it.
pub(super) fn within(pickle: &Pickle, value: Value) -> Value {
    let mut value = value;
    for _ in 0..DEEPEST {
        let inner = pickle.class(value).filter(|class| CLASSES.contains(class)).and_then(|(_, class)| {
            let modules = pickle.get(pickle.instance(value)?.state?, "_modules")?;
            PREFIXES
                .iter()
                .find_map(|prefix| pickle.get(modules, prefix.trim_end_matches('.')))
                .map(|inner| (class, inner))
        });
        let Some((class, inner)) = inner else { break };
        tracing::info!(
            "`{}`: the network is wrapped in `{class}`: what is in it is read",
            terminal::path(pickle.path())
        );
        value = inner;
    }
    value
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        let state = names.iter().map(|name| ((*name).to_owned(), TensorData::from([1.0f32]))).collect();
        unwrapped(state, "a.pt").into_keys().collect()
    }

    #[test]
    fn what_all_names_begin_with_is_left_out_and_nothing_else() {
        for (given, expected) in [
            (["module.model.a", "module.model.b"], ["model.a", "model.b"]),
            (["_orig_mod.a", "_orig_mod.b"], ["a", "b"]),
            (["module._orig_mod.a", "module._orig_mod.b.module.c"], ["a", "b.module.c"]),
            (["_orig_mod.module.a", "_orig_mod.module.b"], ["a", "b"]),
            (["module.module.a", "module.module.b"], ["a", "b"]),
            (["module.a", "b"], ["module.a", "b"]),
            (["modules.a", "modules.b"], ["modules.a", "modules.b"]),
            (["net.a", "net.b"], ["net.a", "net.b"]),
        ] {
            assert_eq!(names(&given), expected);
        }
        assert!(names(&[]).is_empty());
    }
}
