//! Downloads from servers with every fault that people meet: right in the end, or an error that says what was seen.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod server;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use server::{Asked, Does, Server, answer, part, whole};
use sida::{
    Error, Result,
    location::Location,
    stages::{Addresses, Downloads, Wanted, Web},
    stop::Stop,
};

/// What a reader takes: nothing else begins so and is so long.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    b"GOOD".iter().copied().chain((0..300_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8)).collect()
});
const CUT: usize = 200_000;
const PATIENCE: Duration = Duration::from_secs(1);
const PAGE: &[u8] = b"<!DOCTYPE html><title>Quota exceeded</title>";
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 55\n";

struct Place {
    folder: tempfile::TempDir,
    web: Web,
    stop: Stop,
}

impl Place {
    fn new() -> Self {
        let web = Web { patience: PATIENCE, pause: Duration::from_millis(4), ..Web::default() };
        Self { folder: tempfile::tempdir().unwrap(), web, stop: Stop::default() }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn fetch(&self, url: &str, sha256: Option<&str>) -> Result<PathBuf> {
        let location = Location::new(url);
        let accepts = |path: &Path| {
            let good = fs::read(path).unwrap() == *GOOD;
            if good { Ok(()) } else { Err(Error::bad_file(path, "good file", "it is not as it should be")) }
        };
        let wanted = Wanted::new("file", &location, accepts).with_sha256(sha256);
        let addresses = Addresses::new(&self.folder.path().join("addresses"), None);
        let Self { web, stop, .. } = self;
        Downloads { name: "test", cache: &self.cache(), addresses: &addresses, search: &[], web, stop }
            .fetch(&wanted)
    }

    /// What lies in the cache, and what is unfinished.
    fn files(&self) -> [usize; 2] {
        [self.cache(), self.cache().join("unfinished")].map(|folder| {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter(|entry| entry.path().is_file()).count()
        })
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn chunked(bytes: &[u8], ends: bool) -> Vec<u8> {
    let end: &[u8] = if ends { b"0\r\n\r\n" } else { b"" };
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n", end].concat()
}

/// The beginning of the file, with the length of all of it.
fn cut(headers: &[(&str, &str)]) -> Vec<Does> {
    let length = GOOD.len().to_string();
    answer("200 OK", &[headers, &[("Content-Length", &length)]].concat(), &GOOD[..CUT])
}

/// A fault, the first answer; then all is well.
fn first(fault: &str, asked: &Asked) -> Vec<Does> {
    let silence = Does::Waits(3 * PATIENCE);
    match fault {
        "stall-head" => vec![silence],
        "stall" => [cut(&[]), vec![silence]].concat(),
        "drip" => {
            let drop = |byte: &u8| [Does::Says(vec![*byte]), Does::Waits(PATIENCE / 10)];
            [cut(&[]), GOOD[CUT..][..20].iter().flat_map(drop).collect()].concat()
        }
        "hang-up" => vec![],
        "garbage" => vec![Does::Says(b"\0\xff not http at all\r\n\r\n".to_vec())],
        "cut" | "cut-then-other" => cut(&[("ETag", if fault == "cut" { "W/\"weak\"" } else { "\"a\"" })]),
        "cut-no-length" => answer("200 OK", &[], &GOOD[..CUT]),
        "cut-chunked" => answer("200 OK", &[("Transfer-Encoding", "chunked")], &chunked(&GOOD[..CUT], false)),
        "bad-chunks" => answer("200 OK", &[("Transfer-Encoding", "chunked")], b"FFFFFFFFFFFFFFFFF\r\nx"),
        "too-long" => answer("200 OK", &[("Content-Length", "400000")], &GOOD),
        "too-short" => answer("200 OK", &[("Content-Length", "200000")], &GOOD),
        "gzip-cut" => {
            let packed = gzip(&GOOD);
            let length = packed.len().to_string();
            let headers = [("Content-Encoding", "gzip"), ("Content-Length", &length)];
            answer("200 OK", &headers, &packed[..packed.len() / 2])
        }
        "page" => whole(PAGE, &[("Content-Type", "text/html")]),
        "pointer" => whole(POINTER, &[]),
        "empty" => whole(b"", &[]),
        "other" => whole(b"GOOD, but not this one", &[]),
        "429" => answer("429 Too Many Requests", &[("Retry-After", "0")], b""),
        "429-date" => answer("429 Slow Down", &[("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")], b""),
        status if status.parse::<u16>().is_ok() => answer(&format!("{status} Sorry"), &[], b""),
        other => panic!("{other}: {asked:?}"),
    }
}

#[test]
fn what_passes_is_waited_for_and_what_is_wrong_is_fetched_once_more() {
    let server = Server::new(|number, asked| match number {
        1 => first(asked.path.trim_matches('/').split('/').next().unwrap(), asked),
        _ => whole(&GOOD, &[("ETag", "\"b\"")]),
    });
    for fault in [
        "stall-head",
        "stall",
        "drip",
        "hang-up",
        "garbage",
        "cut",
        "cut-then-other",
        "cut-no-length",
        "cut-chunked",
        "bad-chunks",
        "too-long",
        "too-short",
        "gzip-cut",
        "page",
        "pointer",
        "empty",
        "other",
        "429",
        "429-date",
        "408",
        "425",
        "500",
        "502",
        "503",
        "504",
    ] {
        let place = Place::new();
        let url = server.url(&format!("{fault}/net.pkl"));
        let path = place.fetch(&url, None).unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!(fs::read(path).unwrap(), *GOOD, "{fault}");
        assert_eq!(place.files(), [1, 0], "{fault}");
        let of_fault = |asked: &Asked| asked.path.contains(&format!("/{fault}/"));
        let heard: Vec<Asked> = server.heard().into_iter().filter(of_fault).collect();
        assert_eq!(heard.len(), 2, "{fault}");
        let range = (fault == "cut-then-other").then(|| format!("bytes={CUT}-"));
        assert_eq!(heard[1].header("range"), range.as_deref(), "{fault}");
        // And nobody is asked again.
        place.fetch(&url, None).unwrap();
        assert_eq!(server.heard().iter().filter(|asked| of_fault(asked)).count(), 2, "{fault}");
    }
}

#[test]
fn what_comes_at_once_is_taken_as_it_is_meant() {
    let server = Server::new(|_, asked| match asked.path.as_str() {
        "/moved/a/net.pkl" => answer("302 Found", &[("Location", "../b/net.pkl?x=1")], b""),
        "/packed/net.pkl" => answer("200 OK", &[("Content-Encoding", "gzip")], &gzip(&GOOD)),
        // A server that says of a packed file what it is, and not how it is sent.
        "/is-packed/net.tar.gz" => whole(&GOOD, &[("Content-Encoding", "x-gzip")]),
        "/chunks/net.pkl" => answer("200 OK", &[("Transfer-Encoding", "chunked")], &chunked(&GOOD, true)),
        _ => whole(&GOOD, &[]),
    });
    for path in ["ok/net.pkl", "moved/a/net.pkl", "packed/net.pkl", "is-packed/net.tar.gz", "chunks/net.pkl"]
    {
        let place = Place::new();
        let file = place.fetch(&server.url(path), None).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(fs::read(file).unwrap(), *GOOD, "{path}");
    }
    assert!(server.heard().iter().any(|asked| asked.path == "/moved/b/net.pkl?x=1"));
    assert!(server.heard().iter().all(|asked| asked.header("accept-encoding") == Some("identity")));
}

#[test]
fn a_download_is_gone_on_with_only_where_it_is_the_same_file_still() {
    let tag = [("ETag", "\"a\"")];
    let server = Server::new(move |number, asked| match (asked.path.split('/').nth(1).unwrap(), number) {
        // Never more than a piece, as long as one asks.
        ("pieces", _) => {
            let end = GOOD.len().min(asked.from() + 70_000);
            let all = GOOD.len().to_string();
            if asked.from() == 0 {
                return answer("200 OK", &[tag[0], ("Content-Length", &all)], &GOOD[..end]);
            }
            let mut does = part(&GOOD, asked.from(), &tag);
            if let Does::Says(bytes) = &mut does[0] {
                bytes.truncate(bytes.len() - (GOOD.len() - end));
            }
            does
        }
        (_, 1) => cut(&tag),
        ("elsewhere", 2) => part(&GOOD, CUT - 1, &tag),
        ("other-tag", 2) => part(&GOOD, CUT, &[("ETag", "\"b\"")]),
        ("other-length", 2) => part(&[GOOD.as_slice(), b"x"].concat(), CUT, &tag),
        ("no-range", 2) => answer("206 Partial Content", &tag, &GOOD[CUT..]),
        ("416", 2) => answer("416 Range Not Satisfiable", &[], b""),
        ("ignores", _) | (_, 3) => whole(&GOOD, &tag),
        _ => part(&GOOD, asked.from(), &tag),
    });
    for (case, requests, ranges) in [
        ("same", 2, 1),
        ("ignores", 2, 1),
        ("elsewhere", 3, 1),
        ("other-tag", 3, 1),
        ("other-length", 3, 1),
        ("no-range", 3, 1),
        ("416", 3, 1),
        ("pieces", 5, 4),
    ] {
        let place = Place::new();
        let path = place.fetch(&server.url(&format!("{case}/net.pkl")), None);
        let path = path.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(fs::read(path).unwrap(), *GOOD, "{case}");
        let heard: Vec<Asked> =
            server.heard().into_iter().filter(|asked| asked.path.starts_with(&format!("/{case}/"))).collect();
        assert_eq!(heard.len(), requests, "{case}");
        let with_range: Vec<&Asked> = heard.iter().filter(|asked| asked.header("range").is_some()).collect();
        assert_eq!(with_range.len(), ranges, "{case}");
        assert!(with_range.iter().all(|asked| asked.header("if-range") == Some("\"a\"")), "{case}");
    }
}

#[test]
fn what_stays_wrong_is_an_error_that_says_what_was_seen_and_nothing_wrong_is_kept() {
    let server = Server::new(|_, asked| {
        let path = asked.path.trim_matches('/').split('/').next().unwrap();
        match path {
            "loop" => answer("302 Found", &[("Location", &asked.path)], b""),
            "to-file" => answer("302 Found", &[("Location", "file:///etc/passwd")], b""),
            "to-nowhere" => answer("302 Found", &[], b""),
            "huge" => answer("200 OK", &[("Content-Length", "4611686018427387904")], b"x"),
            "negative" => answer("200 OK", &[("Content-Length", "-5")], b"x"),
            "brotli" => whole(b"x", &[("Content-Encoding", "br")]),
            "unasked" => part(&GOOD, 5, &[]),
            "no-content" => answer("204 No Content", &[], b""),
            "tomorrow" => answer("503 Busy", &[("Retry-After", "86400")], b""),
            "header" => answer("200 OK", &[("X-A", &"a".repeat(100_000))], b"x"),
            "wrong-hash" => whole(&GOOD, &[]),
            fault => first(fault, asked),
        }
    });
    for (case, requests, said) in [
        ("404", 1, "404 Not Found"),
        ("403", 1, "403 Forbidden: it wants credentials"),
        ("401", 1, "401"),
        ("400", 1, "400"),
        ("loop", 10, "10 times"),
        ("to-file", 1, "`file:///etc/passwd`, which is no http(s) address"),
        ("to-nowhere", 1, "302"),
        ("huge", 1, "4611686018427387904 bytes"),
        ("negative", 5, "content-length"),
        ("brotli", 1, "`br`"),
        ("unasked", 1, "206"),
        ("no-content", 1, "204"),
        ("tomorrow", 1, "86400 s"),
        ("header", 1, "header"),
        ("500", 5, "500 Internal Server Error; 5 attempts"),
        ("hang-up", 5, "5 attempts"),
        ("cut", 5, "after 200000 of 300004 bytes"),
        ("stall", 5, "for 1 s"),
        ("empty", 2, "it is empty"),
        ("page", 2, "HTML page (`Quota exceeded`)"),
        ("pointer", 2, "Git LFS pointer"),
        ("other", 2, "not as it should be"),
        ("cut-no-length", 2, "not as it should be"),
        ("wrong-hash", 2, "the pipeline asks for SHA-256 00"),
    ] {
        let place = Place::new();
        let url = server.url(&format!("{case}/net.pkl"));
        let hash = "0".repeat(64);
        let error = place.fetch(&url, (case == "wrong-hash").then_some(&hash)).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit_code(), 1);
        assert!(text.contains(said) && text.contains(&url), "{case}: {text}");
        let place_of_file = place.cache().display().to_string();
        assert_eq!(text.contains(&place_of_file), requests == 2, "{case}: {text}");
        assert!(!text.contains("unfinished"), "{case}: {text}");
        assert_eq!(place.files(), [0, 0], "{case}");
        let heard =
            server.heard().iter().filter(|asked| asked.path.starts_with(&format!("/{case}/"))).count();
        assert_eq!(heard, requests, "{case}");
    }
}

#[test]
fn a_server_that_says_when_is_not_asked_before() {
    let server = Server::new(|number, _| match number {
        1 => answer("503 Busy", &[("Retry-After", "1")], b""),
        _ => whole(&GOOD, &[]),
    });
    let began = Instant::now();
    Place::new().fetch(&server.url("net.pkl"), None).unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_stop_is_obeyed_at_once_wherever_it_comes_and_the_next_run_goes_on() {
    let minute = Does::Waits(Duration::from_mins(1));
    let server = Server::new(move |_, asked| match (asked.path.as_str(), asked.from()) {
        ("/head", _) => vec![minute.clone()],
        ("/tagged", 0) => [cut(&[("ETag", "\"a\"")]), vec![minute.clone()]].concat(),
        ("/tagged", from) => part(&GOOD, from, &[("ETag", "\"a\"")]),
        ("/busy", _) => answer("503 Busy", &[("Retry-After", "60")], b""),
        _ => [cut(&[]), vec![minute.clone()]].concat(),
    });
    // An address for documentation (RFC 5737), where nobody answers.
    let nobody = "http://192.0.2.1/net.pkl".to_owned();
    let places = [nobody, server.url("head"), server.url("body"), server.url("tagged"), server.url("busy")];
    let stopped = thread::scope(|scope| {
        let one = |url: String| {
            scope.spawn(move || {
                let place = Place::new();
                let place = Place {
                    web: Web {
                        patience: Duration::from_mins(1),
                        pause: Duration::from_mins(1),
                        ..place.web.clone()
                    },
                    ..place
                };
                let flag = place.stop.flag();
                let stopper = thread::spawn(move || {
                    thread::sleep(Duration::from_millis(400));
                    flag.store(true, Ordering::Relaxed);
                    Instant::now()
                });
                let ended = place.fetch(&url, None);
                let after = stopper.join().unwrap().elapsed();
                assert!(matches!(ended, Err(Error::Interrupted)), "{url}: {ended:?}");
                assert!(after < Duration::from_secs(2), "{url}: {after:?}");
                (url, place)
            })
        };
        places.map(one).map(|thread| thread.join().unwrap())
    });
    for (url, place) in stopped {
        if url.ends_with("/tagged") {
            assert_eq!(place.files(), [0, 2], "what came, and of which version it is");
            let place = Place { stop: Stop::default(), ..place };
            assert_eq!(fs::read(place.fetch(&url, None).unwrap()).unwrap(), *GOOD);
            assert_eq!(place.files(), [1, 0]);
        } else {
            assert_eq!(place.files(), [0, 0], "{url}");
        }
    }
}

#[test]
fn who_waits_for_somebody_elses_download_does_not_fetch_it_again() {
    let server = Server::new(|_, _| {
        let (start, end) = GOOD.split_at(CUT);
        let length = GOOD.len().to_string();
        let head = answer("200 OK", &[("Content-Length", &length)], start);
        [head, vec![Does::Waits(PATIENCE / 2), Does::Says(end.to_vec())]].concat()
    });
    let place = Place::new();
    thread::scope(|scope| {
        for thread in [(); 3].map(|()| scope.spawn(|| place.fetch(&server.url("net.pkl"), None).map(drop))) {
            thread.join().unwrap().unwrap();
        }
    });
    assert_eq!((server.heard().len(), place.files()), (1, [1, 0]));
}

#[test]
fn a_file_that_was_changed_in_the_cache_is_judged_again() {
    let server = Server::new(|_, _| whole(&GOOD, &[]));
    let place = Place::new();
    let path = place.fetch(&server.url("net.pkl"), None).unwrap();
    // As an older program left it, or a disk, or somebody.
    for wrong in [PAGE, b"", &GOOD[..CUT]] {
        let before = server.heard().len();
        fs::write(&path, wrong).unwrap();
        let offline = Place {
            web: Web { offline: true, ..place.web.clone() },
            folder: tempfile::tempdir().unwrap(),
            stop: Stop::default(),
        };
        fs::create_dir(offline.cache()).unwrap();
        fs::copy(&path, offline.cache().join(path.file_name().unwrap())).unwrap();
        let error = offline.fetch(&server.url("net.pkl"), None).unwrap_err().to_string();
        assert!(error.contains("in the cache") && offline.files() == [1, 0], "its only copy stays: {error}");
        place.fetch(&server.url("net.pkl"), None).unwrap();
        assert_eq!(fs::read(&path).unwrap(), *GOOD);
        assert_eq!(server.heard().len(), before + 1);
    }
}

#[test]
fn credentials_are_for_their_own_server() {
    let other = Arc::new(Server::new(|_, _| whole(&GOOD, &[])));
    let to = other.url("net.pkl?token=hunter3");
    let server = Server::new(move |_, asked| match asked.path.as_str() {
        "/near" => answer("307 Moved", &[("Location", "/there")], b""),
        "/far" => answer("307 Moved", &[("Location", &to)], b""),
        "/lost" => answer("404 Not Found", &[], b""),
        _ => whole(&GOOD, &[]),
    });
    let place = Place::new();
    let url = |path: &str| server.url(path).replace("http://", "http://me:hunter2@");
    for path in ["near", "far"] {
        place.fetch(&url(path), None).unwrap();
    }
    let basic = Some("Basic bWU6aHVudGVyMg==");
    assert!(
        server.heard().len() == 3
            && server.heard().iter().all(|asked| asked.header("authorization") == basic)
    );
    assert!(other.heard().len() == 1 && other.heard()[0].header("authorization").is_none());
    let error = place.fetch(&url("lost"), None).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
    for file in fs::read_dir(place.folder.path().join("addresses")).unwrap().flatten() {
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains("hunter"), "{text}");
    }
}
