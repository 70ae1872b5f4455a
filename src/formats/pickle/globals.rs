//! The functions and classes that a pickle may mention. Mentioning is all that ever happens to them.

use super::super::elements;

/// Modules and names that stand for data.
const DATA: &[(&str, &[&str])] = &[
    ("__builtin__", BUILTINS),
    ("builtins", BUILTINS),
    ("_codecs", &["encode"]),
    ("argparse", &["Namespace"]),
    ("collections", &["Counter", "OrderedDict", "defaultdict"]),
    ("copyreg", &["_reconstructor"]),
    ("copy_reg", &["_reconstructor"]),
    ("datetime", &["date", "datetime", "time", "timedelta", "timezone"]),
    ("dnnlib.util", &["EasyDict"]),
    ("numpy", &["dtype", "ndarray", "bool_", "float16", "float32", "float64", "int32", "int64", "uint8"]),
    ("numpy.core.multiarray", &["_reconstruct", "scalar"]),
    ("numpy._core.multiarray", &["_reconstruct", "scalar"]),
    ("numpy.core.numeric", &["_frombuffer"]),
    ("numpy._core.numeric", &["_frombuffer"]),
    ("pathlib", PATHS),
    ("pathlib._local", PATHS),
    ("torch", TORCH),
    (
        "torch._utils",
        &[
            "_rebuild_parameter",
            "_rebuild_parameter_with_state",
            "_rebuild_sparse_tensor",
            "_rebuild_tensor",
            "_rebuild_tensor_v2",
            "_rebuild_tensor_v3",
        ],
    ),
    ("torch._dynamo.eval_frame", &["OptimizedModule"]),
    ("torch.jit._pickle", TYPED_LISTS),
    ("torch.nn.parameter", &["Buffer", "Parameter"]),
    ("torch.serialization", &["_get_layout"]),
    ("torch.storage", &["TypedStorage", "UntypedStorage", "_load_from_bytes"]),
    ("torch_utils.persistence", &["_reconstruct_persistent_obj"]),
];

/// `getattr` names a bound method in a module's hooks; it stays a pair of an object and a name.
const BUILTINS: &[&str] =
    &["bytearray", "complex", "dict", "frozenset", "getattr", "list", "object", "set", "slice"];

/// What people keep among their settings.
const PATHS: &[&str] = &["Path", "PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"];

/// Element types and a few values; storage types come on top.
const TORCH: &[&str] = &[
    "Size",
    "bfloat16",
    "bool",
    "complex128",
    "complex64",
    "device",
    "float16",
    "float32",
    "float64",
    "float8_e4m3fn",
    "float8_e5m2",
    "int16",
    "int32",
    "int64",
    "int8",
    "strided",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
];

/// In what TorchScript wraps lists and dicts, so that a reader knows the type of what is in them.
const TYPED_LISTS: &[&str] =
    &["build_boollist", "build_doublelist", "build_intlist", "build_tensorlist", "restore_type_tag"];

/// Modules of which every class stands for a network module, kept as its attributes.
const NETWORK_MODULES: &[&str] = &["torch.nn.modules.", "torch.nn.parallel."];

/// Whether a pickle may mention `module.name`.
pub(super) fn is_data(module: &str, name: &str) -> bool {
    let listed = DATA.iter().any(|(m, names)| *m == module && names.contains(&name));
    listed || module == "torch" && elements::of_torch(name).is_some() || is_network_module(module, name)
}

/// Whether `module.name` is the class of a network module.
pub(super) fn is_network_module(module: &str, name: &str) -> bool {
    // A dotted name would reach through the module for something else.
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let class = name.starts_with(|c: char| c.is_ascii_uppercase()) && plain(name);
    class && NETWORK_MODULES.iter().any(|prefix| module.strip_prefix(prefix).is_some_and(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_passes_and_code_does_not() {
        assert!(is_data("collections", "OrderedDict"));
        assert!(is_data("torch.nn.modules.container", "ModuleDict"));
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("builtins", "exec"),
            ("__builtin__", "__import__"),
            ("torch", "load"),
            ("torch.storage", "os.system"),
            ("torch.nn.modules.container", "OrderedDict.fromkeys"),
            ("torch.nn.modules.container", "warnings"),
            ("torch.nn.modules.os.path", "Join"),
            ("torch.nn.modules.", "X"),
            ("", ""),
        ] {
            assert!(!is_data(module, name), "{module} {name}");
        }
    }
}
