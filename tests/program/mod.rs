//! The real program in a folder of its own, and what it said.
#![expect(unreachable_pub, clippy::unwrap_used, reason = "part of a test, which may fail and has no outside")]
#![allow(
    dead_code,
    reason = "each test file uses its part; whether anything is left over depends on the file"
)]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Nothing here takes long, but machines may be busy.
const PATIENCE: Duration = Duration::from_mins(15);

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Digits and a teacher that has hardly begun.
pub const TEACHER: &str = "
stages:
  digits:
    prepare_dataset: { source: { edm: { path: datasets/digits-8x8.zip, use_labels: true } } }
  teacher:
    train_teacher:
      dataset: digits
      network:
        ddpmpp: { img_resolution: 8, img_channels: 1, label_dim: 10, model_channels: 8, channel_mult: [1], num_blocks: 1, attn_resolutions: [] }
      duration_kimg: 0.3
      batch_size: 32
      augment: 0
      status_every_kimg: 0.1
      checkpoint_every_kimg: 0.1
";

/// Its scores, and a report of them; below `TEACHER`.
pub const SCORES: &str = "
  scores:
    evaluate:
      network: teacher
      sampler: { edm: { num_steps: 2 } }
      reference: digits
      metrics: [{ frechet_distance: { detector: pixels, images: 100 } }]
      expect: [{ metric: fd_pixels_100, at_most: 1000 }]
  table:
    report: { caption: Digits, columns: [nfe, fd_pixels_100], rows: [{ label: Teacher, scores: { stage: scores } }] }
";

/// A folder for pipelines and runs, and where the program is started: in the repository, or in that folder.
pub struct Bench {
    folder: tempfile::TempDir,
    inside: bool,
}

/// What a finished process said.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), inside: false }
    }

    /// The program is started in the folder.
    pub fn inside() -> Self {
        Self { inside: true, ..Self::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn runs(&self) -> PathBuf {
        self.path("runs")
    }

    /// Writes a file, and gives its path as an argument.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), contents).unwrap();
        self.path(name).display().to_string()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sida"));
        command.args(arguments).current_dir(if self.inside { self.folder.path() } else { root() });
        for variable in ["RUST_LOG", "SIDA_INCEPTION", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"] {
            command.env_remove(variable);
        }
        command.env("SIDA_RUNS", self.runs()).env("SIDA_CACHE", self.path("cache"));
        command
    }

    /// Runs the program to its end.
    pub fn sida(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).output().unwrap())
    }

    /// Starts the program; its words are kept for `end`.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The end of a process that was started.
    pub fn end(child: Child) -> Self {
        Self::of(&child.wait_with_output().unwrap())
    }

    /// Demands an exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{}\n{}", self.out, self.err);
        self
    }

    /// Demands that the last line of standard error is the error, and that it says all of this.
    #[track_caller]
    pub fn complains(self, parts: &[&str]) -> Self {
        let last = self.err.trim_end().lines().last().unwrap_or_default();
        assert!(last.starts_with("error: "), "{}", self.err);
        for part in parts {
            assert!(last.contains(part), "`{part}` is not in: {last}");
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}

/// Waits until something is so, or the process ends; says whether it still ran.
pub fn wait(child: &mut Child, so: impl Fn(&Child) -> bool) -> bool {
    let started = Instant::now();
    while !so(child) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(started.elapsed() < PATIENCE, "nothing happened");
        sleep(Duration::from_millis(2));
    }
    true
}

/// Whether this process makes a stage now: from then on it listens to signals.
pub fn works_in(child: &Child, runs: &Path) -> bool {
    let pid = format!("\"pid\":{},", child.id());
    let mut leases =
        entries(&runs.join("_store")).filter(|path| path.extension().is_some_and(|e| e == "lease"));
    leases.any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(&pid)))
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Sends a signal by its name.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// The folders of all runs of a stage, in the store.
pub fn folders(pipeline_dir: &Path, stage: &str) -> Vec<PathBuf> {
    let is_of = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.rsplit_once('-').is_some_and(|(of, key)| of == stage && key.len() == 8)
    };
    entries(pipeline_dir).filter(is_of).filter_map(|link| fs::canonicalize(link).ok()).collect()
}

/// The only folder of a stage.
#[track_caller]
pub fn folder(pipeline_dir: &Path, stage: &str) -> PathBuf {
    let found = folders(pipeline_dir, stage);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

/// Runs that a test file's tests compare with, made by the first of them that asks: `make` fills a bench.
pub fn made_before(name: &str, make: impl FnOnce(&Bench)) -> PathBuf {
    let runs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&runs);
    let bench = Bench::new();
    make(&bench);
    copy(&bench.runs(), &runs);
    runs
}

/// Reads JSON.
pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if let Ok(link) = fs::read_link(entry.path()) {
            std::os::unix::fs::symlink(link, target).unwrap();
        } else if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// A file; of statistics, without what is about time and memory.
pub fn lines(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_none_or(|e| e != "jsonl") {
        return vec![bytes];
    }
    let text = String::from_utf8(bytes).unwrap();
    let timeless = |line: &str| {
        let mut line: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        line.retain(|name, _| !name.contains("second") && !name.contains("memory"));
        serde_json::to_vec(&line).unwrap()
    };
    text.lines().map(timeless).collect()
}

/// Serves the files of a folder by their names, for as long as the test runs; gives the address.
pub fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let name = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
            let (status, bytes) = match fs::read(folder.join(name)) {
                Ok(bytes) => ("200 OK", bytes),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = bytes.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(&[head.as_bytes(), &bytes].concat());
        }
    });
    format!("http://{address}")
}
