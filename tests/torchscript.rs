//! TorchScript archives: their tensors are read, their code never is, and whatever is not data is refused by name.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::{
    fs,
    io::{Cursor, Read, Write},
    path::PathBuf,
    process::Stdio,
};

use burn::tensor::{Device, Tensor, TensorData};
use half::f16;
use program::{Bench, Said, TEACHER};
use serde_json::{Value, json};
use sida::{
    Error, Result,
    checkpoint::read_state_dict_file,
    nn::{InceptionInput, InceptionV3},
    state_dict::StateDict,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A file of `tests/torchscript/`; the README there says how it was made.
fn recorded(name: &str) -> PathBuf {
    program::root().join("tests/torchscript").join(name)
}

// ------------------------------------------------------------------ what torch wrote

#[test]
fn tensors_have_the_names_shapes_types_and_values_of_the_state_dict() {
    let quarters = |n: u8| (0..n).map(|i| f32::from(i) / 4.0).collect::<Vec<_>>();
    let turned: Vec<f32> = [4, 8, 5, 9, 6, 10, 7, 11].map(|i: u8| f32::from(i) / 4.0).to_vec();
    let expected = [
        ("inner.weight", TensorData::new(quarters(6), [2, 3])),
        ("inner.seen", TensorData::new(vec![7i64], [0usize; 0])),
        ("inner.short", TensorData::new([0.0, 0.25, 0.5].map(f16::from_f32).to_vec(), [3])),
        ("inner.turned", TensorData::new(turned, [4, 2])),
        ("layers.0.weight", TensorData::new(quarters(4), [2, 2])),
        ("layers.0.bias", TensorData::new(vec![-0.0f32, -0.25], [2])),
    ];
    for file in ["module.pt", "traced.pt"] {
        let found = read_state_dict_file(&recorded(file)).unwrap();
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.iter().map(|e| e.0).collect::<Vec<_>>(),
            "{file}"
        );
        for (name, data) in &expected {
            assert_eq!(&found[*name], data, "{file}: {name}");
        }
    }
}

#[test]
fn inspect_says_what_it_is() {
    let bench = Bench::new();
    let file = recorded("module.pt");
    let said = bench.sida(&["inspect", file.to_str().unwrap()]).exits(0);
    assert!(
        said.out.contains("TorchScript, module __torch__.Outer; its code was not looked at"),
        "{}",
        said.out
    );
    assert!(said.out.contains("inner.short F16 [3]"), "{}", said.out);
    let said = bench.sida(&["inspect", file.to_str().unwrap(), "--json"]).exits(0);
    let value: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!([&value["kind"], &value["class"]], [&json!("TorchScript"), &json!("__torch__.Outer")]);
    assert_eq!(value["tensors"].as_array().unwrap().len(), 6);
}

// ------------------------------------------------------------------ what others might write

/// Reads a file of weights that holds these bytes.
fn read(bytes: &[u8]) -> Result<StateDict> {
    let bench = Bench::new();
    bench.write("weights.pt", bytes);
    read_state_dict_file(&bench.path("weights.pt"))
}

/// `module.pt` with other entries, or without some.
fn edited(edit: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(fs::File::open(recorded("module.pt")).unwrap()).unwrap();
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        entries.extend(edit(&name, bytes).map(|bytes| (name, bytes)));
    }
    zipped(&entries)
}

fn zipped(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        writer.start_file(name.as_str(), stored).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// An archive of TorchScript around a pickle.
fn script(pickle: &[u8]) -> Vec<u8> {
    zipped(&[
        ("m/data.pkl".to_owned(), pickle.to_vec()),
        ("m/constants.pkl".to_owned(), b"\x80\x02).".to_vec()),
    ])
}

/// Demands that a file is refused because of this name.
#[track_caller]
fn forbidden(bytes: &[u8], name: &str) {
    match read(bytes) {
        Err(Error::ForbiddenGlobal { global, .. }) => assert_eq!(global, name),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn classes_need_an_archive_with_code_around_them() {
    let bare =
        edited(|name, bytes| (!name.contains("/code/") && !name.ends_with("constants.pkl")).then_some(bytes));
    forbidden(&bare, "__torch__.Outer");
    let mut archive = zip::ZipArchive::new(Cursor::new(bare)).unwrap();
    let mut pickle = Vec::new();
    archive.by_name("module/data.pkl").unwrap().read_to_end(&mut pickle).unwrap();
    forbidden(&pickle, "__torch__.Outer");
}

#[test]
fn only_records_of_plain_classes_are_made() {
    const NET: &[u8] = b"\x80\x02c__torch__\nNet\n)\x81}(X\x01\0\0\0aK\x01ub.";
    assert!(read(&script(NET)).unwrap().is_empty(), "a module without tensors");
    for (pickle, name) in [
        (&b"\x80\x02c__torch__.os\nsystem\n)\x81."[..], "__torch__.os.system"),
        (b"\x80\x02c__torch__\nos.System\n)\x81.", "__torch__.os.System"),
        (b"\x80\x02cos\nsystem\n(X\x02\0\0\0lstR.", "os.system"),
        (
            b"\x80\x02ctorch.jit._pickle\nbuild_tensor_from_id\nK\x00\x85R.",
            "torch.jit._pickle.build_tensor_from_id",
        ),
        (b"\x80\x02ctorch.jit\nload\n)R.", "torch.jit.load"),
        // A class that is called, in every way that pickles know.
        (b"\x80\x02c__torch__\nNet\n)R.", "__torch__.Net(...)"),
        (b"\x80\x02c__torch__\nNet\nK\x01\x85\x81.", "__torch__.Net(...)"),
        (b"\x80\x04c__torch__\nNet\n)}\x92.", "__torch__.Net(...)"),
        (b"(c__torch__\nNet\no.", "__torch__.Net(...)"),
        (b"(i__torch__\nNet\n.", "__torch__.Net(...)"),
        // Also where it would be an attribute.
        (b"\x80\x02c__torch__\nNet\n)\x81}(X\x01\0\0\0acposix\nsystem\nub.", "posix.system"),
    ] {
        forbidden(&script(pickle), name);
    }
}

#[test]
fn code_and_constants_are_not_even_read() {
    let hostile = edited(|name, bytes| {
        Some(match name {
            _ if name.contains("/code/") => b"import os; os.system('rm -rf /')".to_vec(),
            _ if name.ends_with("constants.pkl") => b"cos\nsystem\n(X\x02\0\0\0lstR.".to_vec(),
            _ => bytes,
        })
    });
    assert_eq!(read(&hostile).unwrap(), read_state_dict_file(&recorded("module.pt")).unwrap());
}

#[test]
fn damaged_archives_say_what_is_wrong() {
    let cyclic: &[u8] = b"\x80\x02c__torch__\nNet\n)\x81q\x00}(X\x01\0\0\0ah\x00ub.";
    for (bytes, problem) in [
        (
            edited(|name, bytes| (name != "module/data/4").then_some(bytes)),
            "tensor data `module/data/4` are missing",
        ),
        (
            edited(|name, bytes| Some(if name == "module/data/4" { bytes[..8].to_vec() } else { bytes })),
            "storage `4` should hold 12 of F32, but has 8 bytes",
        ),
        (script(b"\x80\x02c__torch__\nNet\n)\x81."), "is not a network module"),
        (script(b"\x80\x02c__torch__\nNet\n)\x81]b."), "is not a network module"),
        (script(cyclic), "modules nest too deeply"),
        (script(b"\x80\x02c__torch__\nNet\n)\x81"), "truncated"),
    ] {
        let said = read(&bytes).unwrap_err().to_string();
        assert!(said.contains(problem), "`{problem}` is not in: {said}");
    }
}

// ------------------------------------------------------------------ Inception

fn inception(weights: &StateDict) -> Result<InceptionV3> {
    InceptionV3::load(weights, "the file", &Device::flex())
}

fn nvidia() -> StateDict {
    read_state_dict_file(&recorded("inception.pt")).unwrap()
}

#[test]
fn inception_with_nvidias_names_sees_what_torch_sees() {
    let pixel = |i: usize| {
        ((90 * (i / 299 / 299) + 3 * (i / 299 % 299) + i % 299 * (i / 299 % 299) / 7) % 256) as f32
    };
    let image = TensorData::new((0..3 * 299 * 299).map(pixel).collect::<Vec<_>>(), [1, 3, 299, 299]);
    let image = Tensor::<4>::from_data(image, &Device::flex());
    let outputs = inception(&nvidia()).unwrap().outputs(image, InceptionInput::Tensorflow);
    let features = [
        4.604_991,
        3.962_511_5,
        1.329_016_8,
        0.0,
        9.194_283,
        0.751_837_4,
        0.004_099_758,
        0.934_654_24,
        0.153_884_65,
        1.541_349_2,
        3.631_759,
        4.824_127,
    ];
    let logits = [1.789_417_7, -1.510_224, 2.944_862_6, -0.510_218, -2.695_021_9];
    for (name, expected, found) in
        [("features", &features[..], outputs.features_2048), ("logits", &logits, outputs.logits)]
    {
        let found: Vec<f32> = found.into_data().try_into_vec().unwrap();
        assert_eq!(found.len(), expected.len());
        for (i, (expected, found)) in expected.iter().zip(found).enumerate() {
            assert!((expected - found).abs() < 1e-4, "{name} {i}: {found} where torch has {expected}");
        }
    }
}

#[test]
fn other_tensors_than_inceptions_are_named() {
    let mut lacking = nvidia();
    lacking.shift_remove("layers.mixed_9.tower_1_mixed_conv.var");
    let mut more = nvidia();
    more.insert("layers.mixed_11.conv.weight".to_owned(), TensorData::from([0f32]));
    let mut wide = nvidia();
    wide.insert("layers.mixed_3.tower.conv_1.weight".to_owned(), TensorData::zeros::<f32, _>([2, 3, 3, 3]));
    let other = read_state_dict_file(&recorded("module.pt")).unwrap();
    for (weights, parts) in [
        (lacking, &["no tensor `layers.mixed_9.tower_1_mixed_conv.var`"][..]),
        (more, &["`layers.mixed_11.conv.weight`"]),
        (wide, &["under pytorch-fid's names", "`Mixed_6a.branch3x3dbl_2.conv.weight` is [2, 3, 3, 3]"]),
        (StateDict::new(), &["found none"]),
        (
            other,
            &[
                "expected are `Conv2d_1a_3x3.conv.weight`, `Conv2d_1a_3x3.bn.bias`, ",
                "`layers.conv.weight`, `layers.conv.beta`, `layers.conv.mean`, ...",
                "found `inner.weight`, `inner.seen`, `inner.short`, ...",
                "`SIDA_INCEPTION`",
            ],
        ),
    ] {
        let said = inception(&weights).unwrap_err().to_string();
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
    }
}

/// Statistics of twelve features: of this mean each, with a variance of one, independent.
fn statistics(mean: f64) -> Vec<u8> {
    let npy = |shape: &str, values: Vec<f64>| {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\0".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values.into_iter().flat_map(f64::to_le_bytes));
        bytes
    };
    let identity = (0..144).map(|i| f64::from(u8::from(i % 13 == 0))).collect();
    let arrays = [("mu.npy", npy("(12,)", vec![mean; 12])), ("sigma.npy", npy("(12, 12)", identity))];
    zipped(&arrays.map(|(name, bytes)| (name.to_owned(), bytes)))
}

#[test]
fn evaluate_measures_with_the_file_that_the_variable_names() {
    let bench = Bench::new();
    let reference = bench.write("reference.npz", statistics(100.0));
    let scores = format!(
        "
  scores:
    evaluate:
      network: teacher
      sampler: {{ edm: {{ num_steps: 2 }} }}
      statistics: {reference}
      metrics: [{{ frechet_distance: {{ detector: inception, images: 32 }} }}]
"
    );
    let file = bench.write("p.yaml", format!("{TEACHER}{scores}"));
    let run = |weights: &str| {
        let mut command = bench.command(&["run", &file, "--device", "cpu", "--json"]);
        command.env("SIDA_INCEPTION", recorded(weights)).stdout(Stdio::piped()).stderr(Stdio::piped());
        Said::end(command.spawn().unwrap())
    };
    run("module.pt").exits(1).complains(&["module.pt", "found `inner.weight`", "`SIDA_INCEPTION`"]);
    let result: Value = serde_json::from_str(&run("inception.pt").exits(0).out).unwrap();
    // The features are small: twelve times the square of 100, roughly.
    let distance = result["scores"]["scores"]["fd_inception_32"]["mean"].as_f64().unwrap();
    assert!((60_000.0..130_000.0).contains(&distance), "{distance}");
}
