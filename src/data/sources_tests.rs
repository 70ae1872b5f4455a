//! Folders, zips and archives as people have them: what becomes of each, and every sentence of a refusal.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use zip::{CompressionMethod, write::SimpleFileOptions};

use super::{
    ClassOrder, DatasetOptions, ImageDataset, Pixels, PrepareOptions, Prepared, latents::tests::npy, prepare,
};
use crate::Result;

/// An image of one value, which tells it from others.
fn png(value: u8) -> Vec<u8> {
    Pixels::new(4, 4, 1, vec![value; 16]).to_png()
}

/// A folder, or a zip, with these files.
struct Set {
    dir: tempfile::TempDir,
    path: PathBuf,
}

impl Set {
    fn folder(files: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set");
        for (name, bytes) in files {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        Self { dir, path }
    }

    fn zip(files: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set.zip");
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        for (name, bytes) in files {
            let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        Self { dir, path }
    }

    fn convert(&self, options: &PrepareOptions) -> Result<Prepared> {
        prepare(&self.path, &self.made(), options, &|_, _| {})
    }

    fn made(&self) -> PathBuf {
        self.dir.path().join("made.zip")
    }

    fn refusal(&self, options: &PrepareOptions) -> String {
        let _ = fs::remove_file(self.made());
        let said = self.convert(options).unwrap_err().to_string();
        assert!(!self.made().exists(), "{said}");
        said
    }

    /// The value and the class of every image that was made, in order.
    fn classes(&self, options: &PrepareOptions) -> Vec<(u8, u32)> {
        self.convert(options).unwrap();
        classes(&self.made())
    }
}

fn classes(path: &Path) -> Vec<(u8, u32)> {
    let set = open(path).unwrap();
    (0..set.len()).map(|i| (set.image(i).unwrap()[0], set.class(i).unwrap())).collect()
}

fn open(path: &Path) -> Result<ImageDataset> {
    ImageDataset::open(path, &DatasetOptions { use_labels: true, ..DatasetOptions::default() })
}

fn labelled() -> PrepareOptions {
    PrepareOptions { use_labels: true, ..PrepareOptions::default() }
}

/// One check for both: a dataset that is converted, and one that is used as it is.
#[test]
fn labels_that_disagree_are_refused_with_the_first_image_and_the_cause() {
    let (one, two) = (png(10), png(20));
    let files: [(&str, &[u8]); 2] = [("A\u{308}/1.png", &one), ("cat/2.png", &two)];
    let missing = "gives no class to 1 of 2 images, `cat/2.png` the first: ";
    for (first, second, said) in [
        ("", r#"["./cat/2.png", 1]"#, format!("{missing}the list has `./cat/2.png`, with a `./`")),
        ("", r#"["2.png", 1]"#, format!("{missing}the list has `2.png`, without the image's folder")),
        (
            "",
            r#"["C:\\x\\cat\\2.png", 1]"#,
            format!("{missing}the list has `C:/x/cat/2.png`, in another folder"),
        ),
        ("", r#"["cat/2.PNG", 1]"#, format!("{missing}the list has `cat/2.PNG`, in other letters")),
        ("", r#"["cat/3.png", 1]"#, format!("{missing}no entry names it")),
        ("\u{c4}/1.png", r#"["cat/2.png", 1]"#, "normal forms".to_owned()),
        (
            "",
            r#"["cat/2.png", 1], ["dog/9.png", 1]"#,
            "names 1 images that are not there, `dog/9.png`".to_owned(),
        ),
        (
            "",
            r#"["cat/2.png", 1], ["cat/2.png", 5]"#,
            "lists `cat/2.png` twice, with the classes 1 and 5".to_owned(),
        ),
    ] {
        let first = if first.is_empty() { files[0].0 } else { first };
        let list = format!(r#"{{"labels": [["{first}", 0], {second}]}}"#);
        let files = [files[0], files[1], ("dataset.json", list.as_bytes())];
        for set in [Set::folder(&files), Set::zip(&files)] {
            for problem in [set.refusal(&labelled()), open(&set.path).unwrap_err().to_string()] {
                assert!(problem.contains("dataset.json") && problem.contains(&said), "{problem}");
            }
            // What is not asked for is remarked on.
            let prepared = set.convert(&PrepareOptions::default()).unwrap();
            assert!(prepared.remarks.iter().any(|remark| remark.contains(&said)), "{:?}", prepared.remarks);
            assert_eq!(open(&set.made()).unwrap().label_dim(), 0);
        }
    }
}

#[test]
fn images_without_classes_are_refused_with_where_they_lie() {
    let (one, list) = (png(1), br#"{"labels": [["cat/1.png", 0]]}"#);
    for (files, said) in [
        (vec![("set/cat/1.png", &one[..])], "all lie in the one top folder `set`"),
        (vec![("set/cat/1.png", &one), ("set/dataset.json", list)], "it lies in `set/dataset.json`"),
        (vec![("1.png", &one), ("Dataset.json", list)], "the file is called `Dataset.json`"),
        (vec![("1.png", &one), ("dataset.json", br#"{"labels": null}"#)], "has `labels: null`"),
        (vec![("1.png", &one)], "sort them into a folder for each class"),
    ] {
        for set in [Set::folder(&files), Set::zip(&files)] {
            let problem = set.refusal(&labelled());
            let first = format!("1 of 1 images have no class, `{}` the first", files[0].0);
            assert!(problem.contains(&first) && problem.contains(said), "{problem}");
        }
    }
}

#[test]
fn names_of_windows_are_folders() {
    let (one, two) = (png(10), png(20));
    let files: [(&str, &[u8]); 2] = [("cat\\1.png", &one), ("dog\\deep\\2.png", &two)];
    let list = br#"{"labels": [["cat/1.png", 7], ["dog\\deep\\2.png", 3]]}"#;
    let with_list = [files[0], files[1], ("dataset.json", list)];
    assert_eq!(Set::zip(&files).classes(&labelled()), [(10, 0), (20, 1)]);
    assert_eq!(Set::zip(&with_list).classes(&labelled()), [(10, 7), (20, 3)]);
    assert_eq!(classes(&Set::zip(&with_list).path), [(10, 7), (20, 3)]);
    #[cfg(unix)]
    {
        assert_eq!(Set::folder(&files).classes(&labelled()), [(10, 0), (20, 1)]);
        assert_eq!(classes(&Set::folder(&with_list).path), [(10, 7), (20, 3)]);
    }
    let twice = Set::zip(&[("cat\\1.png", &one), ("cat/1.png", &two)]).refusal(&labelled());
    assert!(twice.contains("two of its files have the name `cat/1.png`"), "{twice}");
}

#[test]
fn what_systems_and_tools_leave_is_neither_image_nor_class() {
    let (one, two, old) = (png(10), png(20), png(99));
    let mut files: Vec<(&str, &[u8])> = vec![("cat/1.png", &one), ("dog/1.png", &two)];
    for name in [
        ".ipynb_checkpoints/1-checkpoint.png",
        "cat/.ipynb_checkpoints/1-checkpoint.png",
        ".Trash-0/files/old.png",
        ".git/a.gif",
        "__MACOSX/cat/._1.png",
        "@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg",
        "cat/@eaDir/1.png",
        "$RECYCLE.BIN/old.heic",
        "System Volume Information/x.png",
        "lost+found/x.png",
        "cat/._1.png",
        ".DS_Store",
        "dog/Thumbs.db",
        "desktop.ini",
    ] {
        files.push((name, &old));
    }
    for set in [Set::folder(&files), Set::zip(&files)] {
        assert_eq!(set.classes(&labelled()), [(10, 0), (20, 1)]);
        let prepared = set.convert(&labelled()).unwrap();
        assert_eq!(prepared.class_names.unwrap(), ["cat", "dog"]);
        assert!(prepared.remarks[0].contains("hidden files and folders"), "{:?}", prepared.remarks);
        assert_eq!(ImageDataset::open(&set.path, &DatasetOptions::default()).unwrap().len(), 2);
    }
    // A dataset may lie below a hidden folder, and hold nothing else.
    let set = Set::folder(&files[2..]);
    let said = set.refusal(&labelled());
    assert!(said.contains("holds no images") && said.contains("hidden files and folders"), "{said}");
    let hidden = tempfile::tempdir().unwrap();
    let path = hidden.path().join(".cache/set");
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("1.png"), &one).unwrap();
    assert_eq!(ImageDataset::open(&path, &DatasetOptions::default()).unwrap().len(), 1);
}

#[cfg(unix)]
#[test]
fn folders_that_are_links_are_classes_and_no_loop_leads_around() {
    use std::os::unix::fs::symlink;
    let (one, two, three) = (png(10), png(20), png(30));
    let real = Set::folder(&[("cat/1.png", &one), ("dog/1.png", &two)]);
    let set = Set::folder(&[("fish/1.png", &three)]);
    for class in ["cat", "dog"] {
        symlink(real.path.join(class), set.path.join(class)).unwrap();
    }
    let expected = [(10, 0), (20, 1), (30, 2)];
    assert_eq!(set.classes(&labelled()), expected);
    // Loops: to the set itself, from and to it, and among what it leads to.
    symlink(".", set.path.join("again")).unwrap();
    symlink(&set.path, set.path.join("fish/up")).unwrap();
    symlink(&set.path, real.path.join("cat/back")).unwrap();
    symlink("../cat", real.path.join("cat/self")).unwrap();
    assert_eq!(set.classes(&labelled()), expected);
    let said = set.convert(&labelled()).unwrap().remarks.join("\n");
    assert!(said.contains("4 links to folders that are there already"), "{said}");
    // What a link leads to is part of what the dataset is.
    let all = || ImageDataset::open(&set.path, &DatasetOptions::default()).unwrap().identity();
    let before = (all(), super::identity(&set.path));
    fs::write(real.path.join("cat/1.png"), &three).unwrap();
    assert!(all() != before.0 && super::identity(&set.path) != before.1);
    // A folder that is a link itself, and links that lead nowhere.
    let link = Set { path: real.dir.path().join("link"), dir: tempfile::tempdir().unwrap() };
    symlink(&real.path, &link.path).unwrap();
    assert_eq!(link.convert(&labelled()).unwrap().class_names.unwrap(), ["cat", "dog"]);
    symlink("/nowhere/2.png", set.path.join("fish/2.png")).unwrap();
    assert!(
        set.refusal(&labelled()).contains("fish/2.png` is not a usable file of a dataset: it leads nowhere")
    );
}

#[test]
fn pictures_that_cannot_be_read_are_errors_or_counted() {
    let (one, two) = (png(10), png(20));
    for ending in [
        "gif", "tif", "TIFF", "tga", "ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "jpf", "jpx", "heic", "HEIF",
        "avif", "ico", "psd", "jxl", "pcx", "dds", "xbm", "cr2", "dng", "svg", "qoi", "sgi", "icns", "pfm",
        "eps", "ps", "hif", "xpm",
    ] {
        let (picture, other) = (format!("dog/x.{ending}"), format!("dog/y.{ending}"));
        let files: [(&str, &[u8]); 6] = [
            ("cat/1.png", &one),
            ("cat/README.md", b""),
            ("cat/g.png.bak", &one),
            (&other, b"?"),
            (&picture, b"?"),
            ("dog/2.png", &two),
        ];
        for set in [Set::folder(&files), Set::zip(&files)] {
            for said in [
                set.refusal(&labelled()),
                ImageDataset::open(&set.path, &DatasetOptions::default()).unwrap_err().to_string(),
            ] {
                assert!(said.contains(&picture) && said.contains("the first of 2 such pictures"), "{said}");
            }
            assert!(set.refusal(&labelled()).contains("or write `skip_unreadable: true`"));
            let options = PrepareOptions { skip_unreadable: true, ..labelled() };
            assert_eq!(set.classes(&options), [(10, 0), (20, 1)]);
            let prepared = set.convert(&options).unwrap();
            assert!(prepared.unreadable.count == 2 && prepared.unreadable.first.contains(&picture));
            assert_eq!(prepared.remarks, ["left out: 2 other files, `cat/README.md` the first"]);
        }
    }
}

#[test]
fn images_that_do_not_decode_are_errors_or_counted() {
    let (one, two) = (png(10), png(20));
    let list = br#"{"labels": [["1.png", 4], ["2.png", 9], ["3.png", 5], ["4.gif", 6]]}"#;
    let files: [(&str, &[u8]); 5] =
        [("1.png", &one), ("2.png", &two[..40]), ("3.png", &two), ("4.gif", b"?"), ("dataset.json", list)];
    let options = PrepareOptions { skip_unreadable: true, ..labelled() };
    for set in [Set::folder(&files), Set::zip(&files)] {
        assert!(set.refusal(&labelled()).contains("4.gif"));
        assert_eq!(set.classes(&options), [(10, 4), (20, 5)], "each keeps its own class");
        let unreadable = set.convert(&options).unwrap().unreadable;
        assert!(unreadable.count == 2 && unreadable.first.contains("4.gif"), "{unreadable:?}");
        assert_eq!(open(&set.made()).unwrap().names(), ["00000/img00000000.png", "00000/img00000002.png"]);
    }
    let nothing = Set::folder(&[("1.png", &two[..40])]);
    let options = PrepareOptions { skip_unreadable: true, ..PrepareOptions::default() };
    assert!(nothing.refusal(&options).contains("none of the 1 images can be read: "));
}

#[test]
fn classes_have_the_order_that_is_asked_for_and_keep_their_names() {
    let values = [0_u8, 1, 2, 10, 11];
    let files: Vec<(String, Vec<u8>)> = values.iter().map(|v| (format!("{v}/a.png"), png(*v))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    for set in [Set::folder(&files), Set::zip(&files)] {
        for (class_order, names) in [
            (ClassOrder::Text, ["0", "1", "10", "11", "2"]),
            (ClassOrder::Natural, ["0", "1", "2", "10", "11"]),
        ] {
            let options = PrepareOptions { class_order, ..labelled() };
            let made = set.classes(&options);
            assert_eq!(set.convert(&options).unwrap().class_names.unwrap(), names);
            for (value, class) in made {
                assert_eq!(names[class as usize], value.to_string());
            }
            let dataset = open(&set.made()).unwrap();
            assert_eq!(dataset.class_names().unwrap(), names);
            // A dataset that is prepared again keeps the names, too.
            let again = Set { path: set.made(), dir: tempfile::tempdir().unwrap() };
            assert_eq!(again.convert(&labelled()).unwrap().class_names.unwrap(), names);
        }
    }
}

/// As its authors pickle it, with three images.
#[test]
fn cifar_100_has_its_fine_classes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives/cifar-100-python.tar.gz");
    let packed = Set { path, dir: tempfile::tempdir().unwrap() };
    assert_eq!(packed.classes(&labelled()), [(1, 99), (2, 0), (3, 42)]);
    // A browser may have unpacked it, and kept the name.
    let mut tar = Vec::new();
    std::io::copy(&mut super::idx::unpacked(&packed.path).unwrap(), &mut tar).unwrap();
    let set = Set::folder(&[("some-archive.tar.gz", &tar)]);
    let unpacked = Set { path: set.path.join("some-archive.tar.gz"), dir: tempfile::tempdir().unwrap() };
    assert_eq!(unpacked.classes(&labelled()), [(1, 99), (2, 0), (3, 42)]);
}

#[test]
fn latents_that_are_not_numbers_are_refused_by_name() {
    let finite: Vec<u8> = [0.5_f32; 16].iter().flat_map(|value| value.to_le_bytes()).collect();
    let whole = npy("<f4", &[4, 2, 2], &finite);
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let damaged = npy("<f4", &[4, 2, 2], &[&finite[..60], &value.to_le_bytes()].concat());
        let files: [(&str, &[u8]); 2] = [("a.npy", &whole), ("b.npy", &damaged)];
        for set in [Set::folder(&files), Set::zip(&files)] {
            let open = |cache| ImageDataset::open_with_cache(&set.path, &DatasetOptions::default(), cache);
            let said = open(1 << 20).unwrap_err().to_string();
            assert!(said.contains("b.npy") && said.contains(&format!("holds {value}")), "{said}");
            // Of more than is read at once, each is looked at when it is used.
            let said = open(100).unwrap().latent(1).unwrap_err().to_string();
            assert!(said.contains("b.npy") && said.contains(&format!("holds {value}")), "{said}");
        }
    }
}
