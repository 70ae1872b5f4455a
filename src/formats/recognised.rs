//! `Recognised`: what a file really is, by its first bytes. Servers send pages in place of files, copies are cut off, and
//! an extension says only what somebody hoped for.

use std::fmt;

/// A kind of file that is known by its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing at all.
    Empty,
    /// Nothing but zeros, as far as one looks.
    Zeros,
    /// A page for browsers.
    Html,
    /// XML, such as an object store's errors.
    Xml,
    /// JSON.
    Json,
    /// What Git LFS leaves where it has not fetched a file.
    LfsPointer,
    /// What git-annex leaves where it has not fetched a file.
    AnnexPointer,
    /// Something else that people can read.
    Text,
    /// A pickle, bare or a legacy torch file.
    Pickle,
    /// A zip; `.npz` and `.pt` are zips, too.
    Zip,
    /// A `.safetensors` file.
    Safetensors,
    /// A `.npy` file.
    Npy,
    /// A tar archive.
    Tar,
    /// Packed, as the name of the packer says.
    Packed(&'static str),
    /// An image.
    Image(&'static str),
    /// Something that has nothing to do here, such as `a PDF`.
    Other(&'static str),
}

/// What a file was recognised as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// Its kind.
    pub kind: Kind,
    /// The title of a page, the first words of a text, the size behind a pointer.
    words: Option<String>,
}

/// First bytes of binary files. What stands further behind, or needs arithmetic, is in `of_bytes`.
const MAGIC: &[(&[u8], Kind)] = &[
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
    (b"PK\x07\x08", Kind::Zip),
    (b"\x93NUMPY", Kind::Npy),
    (b"\x1f\x8b", Kind::Packed("gzip")),
    (b"BZh", Kind::Packed("bzip2")),
    (b"\xfd7zXZ\0", Kind::Packed("xz")),
    (b"\x28\xb5\x2f\xfd", Kind::Packed("zstd")),
    (b"7z\xbc\xaf\x27\x1c", Kind::Packed("7-Zip")),
    (b"Rar!\x1a\x07", Kind::Packed("RAR")),
    (b"\x89PNG\r\n\x1a\n", Kind::Image("PNG")),
    (b"\xff\xd8\xff", Kind::Image("JPEG")),
    (b"GIF8", Kind::Image("GIF")),
    (b"II*\0", Kind::Image("TIFF")),
    (b"MM\0*", Kind::Image("TIFF")),
    (b"\0\0\0\x0cjP  \r\n", Kind::Image("JPEG 2000")),
    (b"\0\0\0\x0cJXL \r\n", Kind::Image("JPEG XL")),
    (b"\x89HDF\r\n\x1a\n", Kind::Other("an HDF5 file")),
    (b"GGUF", Kind::Other("a GGUF file")),
    (b"%PDF-", Kind::Other("a PDF")),
    (b"\x7fELF", Kind::Other("a program")),
    (b"PAR1", Kind::Other("a Parquet file")),
];

/// The most characters of somebody's text that are shown.
const SHOWN: usize = 80;
/// What to do where the wrong bytes arrived.
const AGAIN: &str = "copy or download it again";
/// What to do where a server had something to say.
const SERVER: &str =
    "sent by a server in place of the file; see in a browser what it wants, and download the file again";

impl Recognised {
    /// As much of a file as is ever looked at.
    pub const HEAD: usize = 4096;

    /// What the file with this beginning is; `None` where nobody knows. A file shorter than `HEAD` has to be there whole.
    pub fn of(head: &[u8]) -> Option<Self> {
        let head = &head[..head.len().min(Self::HEAD)];
        match Kind::of_bytes(head) {
            Some(kind) => Some(Self { kind, words: None }),
            None => Some(Self::of_text(&text(head)?)),
        }
    }

    fn of_text(text: &str) -> Self {
        let text = text.trim_start();
        let (kind, words) = if text.starts_with("version https://git-lfs") {
            (Kind::LfsPointer, text.lines().find_map(|line| line.strip_prefix("size ")).map(str::to_owned))
        } else if text.contains("/annex/objects/") {
            (Kind::AnnexPointer, None)
        } else if text.starts_with("<?xml") && element(text, "html").is_none() {
            (Kind::Xml, element(text, "message").or_else(|| element(text, "code")))
        } else if text.starts_with('<') {
            (Kind::Html, element(text, "title").or_else(|| element(text, "h1")))
        } else if text.starts_with(['{', '[']) {
            (Kind::Json, Some(text.to_owned()))
        } else if is_old_pickle(text) {
            (Kind::Pickle, None)
        } else {
            (Kind::Text, text.lines().next().map(str::to_owned))
        };
        let words = words.map(|words| shown(&words)).filter(|words| !words.is_empty());
        Self { kind, words }
    }
}

impl Kind {
    fn of_bytes(head: &[u8]) -> Option<Self> {
        if head.is_empty() {
            return Some(Self::Empty);
        }
        if head.iter().all(|&byte| byte == 0) {
            return Some(Self::Zeros);
        }
        if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Some(*kind);
        }
        let at = |start: usize, wanted: &[u8]| head.get(start..).is_some_and(|rest| rest.starts_with(wanted));
        Some(match head {
            [0x80, 0..=5, ..] => Self::Pickle,
            _ if at(257, b"ustar") => Self::Tar,
            _ if at(0, b"RIFF") && at(8, b"WEBP") => Self::Image("WebP"),
            _ if at(0, b"BM") && at(6, &[0; 4]) => Self::Image("BMP"),
            _ if at(4, b"ftyphei") || at(4, b"ftyphev") => Self::Image("HEIC"),
            _ if at(4, b"ftypmif1") => Self::Image("HEIF"),
            _ if at(4, b"ftypavi") => Self::Image("AVIF"),
            // A length, of which at most 100 MB are allowed, and JSON.
            _ if at(4, &[0; 4]) && at(8, b"{") => Self::Safetensors,
            _ => return None,
        })
    }
}

/// `it is ...`, and what to do.
impl fmt::Display for Recognised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.as_deref();
        let quoted = words.map(|words| format!(" (`{words}`)")).unwrap_or_default();
        match self.kind {
            Kind::Empty => write!(f, "empty (0 bytes): {AGAIN}"),
            Kind::Zeros => write!(f, "full of zeros, as an interrupted copy leaves it: {AGAIN}"),
            Kind::Html => write!(f, "an HTML page{quoted}, {SERVER}"),
            Kind::Xml => write!(f, "XML{quoted}, {SERVER}"),
            Kind::Json if words.is_some_and(|words| words.contains("\"weight_map\"")) => {
                f.write_str("an index of several files of weights: join them into one file")
            }
            Kind::Json => write!(f, "JSON{quoted}, perhaps {SERVER}"),
            Kind::LfsPointer => {
                let size = words.map(|size| format!(" to {size} bytes")).unwrap_or_default();
                write!(f, "a Git LFS pointer{size}, not the file itself: `git lfs pull` fetches it")
            }
            Kind::AnnexPointer => {
                f.write_str("a git-annex pointer, not the file itself: `git annex get` fetches it")
            }
            Kind::Text => write!(f, "text{quoted}: {AGAIN}"),
            Kind::Pickle => f.write_str("a pickle"),
            Kind::Zip => f.write_str("a zip"),
            Kind::Safetensors => f.write_str("a safetensors file"),
            Kind::Npy => f.write_str("a numpy array (`.npy`)"),
            Kind::Tar => f.write_str("a tar archive: unpack it"),
            Kind::Packed(packer) => write!(f, "packed with {packer}: unpack it"),
            Kind::Image(format) => write!(f, "an image ({format})"),
            Kind::Other(what) => f.write_str(what),
        }
    }
}

/// The beginning of a text in UTF-8 or, where its first two bytes say so, in UTF-16; `None` for what is no text.
fn text(head: &[u8]) -> Option<String> {
    let units = |rest: &[u8], of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.as_chunks().0.iter().map(|&pair| of(pair)).collect();
        String::from_utf16_lossy(&units)
    };
    let text = match head {
        [0xff, 0xfe, rest @ ..] => units(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => units(rest, u16::from_be_bytes),
        _ => {
            let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
            // A character may be cut in two.
            let valid = std::str::from_utf8(head).map_or_else(|e| e.valid_up_to(), str::len);
            let is_cut = head.len() - valid <= 3;
            // Servers' pages may be in Latin-1 or GBK.
            if !is_cut
                && !head.trim_ascii_start().starts_with(b"<")
                && !head.trim_ascii_start().starts_with(b"{")
            {
                return None;
            }
            String::from_utf8_lossy(if is_cut { &head[..valid] } else { head }).into_owned()
        }
    };
    let readable = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\x0c' | '\x1b');
    text.chars().all(readable).then_some(text)
}

/// What stands between `<name>` and the next tag, in letters of either case.
fn element(text: &str, name: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let start = lower.find(&format!("<{name}"))? + 1 + name.len();
    let open = start + lower[start..].find('>')? + 1;
    let end = lower[open..].find('<').map_or(lower.len(), |end| open + end);
    Some(text[open..end].to_owned())
}

/// Protocol 0: a mark and a container, or a global of two lines.
fn is_old_pickle(text: &str) -> bool {
    let name = |line: Option<&str>| {
        line.is_some_and(|line| {
            !line.is_empty() && line.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b))
        })
    };
    let mut lines = text.lines();
    match lines.next() {
        Some(first) if first.starts_with('(') => {
            first[1..].starts_with(['d', 'l', 't', 'i', 'c', 'S', 'V', 'I'])
        }
        Some(first) if first.starts_with('c') => name(Some(&first[1..])) && name(lines.next()),
        _ => false,
    }
}

/// A text on one line, shortened.
fn shown(words: &str) -> String {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_have_in_place_of_a_file_is_recognised() {
        let page = "<!DOCTYPE html>\n<html><head><title>Google Drive -\n Quota exceeded</title></head>";
        let utf16: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(page.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let lfs = format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 223000000\n",
            "a".repeat(64)
        );
        let mut tar = vec![b'x'; 300];
        tar[1..257].fill(0);
        tar[257..262].copy_from_slice(b"ustar");
        let header = [&40_u64.to_le_bytes()[..], b"{\"a\":"].concat();
        for (bytes, kind, said) in [
            (&b""[..], Kind::Empty, "empty (0 bytes)"),
            (&[0; 5000], Kind::Zeros, "zeros"),
            (page.as_bytes(), Kind::Html, "(`Google Drive - Quota exceeded`)"),
            (&utf16, Kind::Html, "Quota exceeded"),
            (b"<html><title>Acc\xe8s refus\xe9 au fichier</title>", Kind::Html, "s refus"),
            (b"{\"fehler\": \"nicht verf\xfcgbar\"}", Kind::Json, "nicht verf"),
            (b"\xef\xbb\xbf  <HTML><TITLE>Sign in</TITLE>", Kind::Html, "(`Sign in`)"),
            (b"<?xml version=\"1.0\"?><!DOCTYPE html><html><h1>Not here</h1>", Kind::Html, "(`Not here`)"),
            (
                b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
                Kind::Xml,
                "(`AccessDenied`)",
            ),
            (b"{\"error\":\"Entry not found\"}", Kind::Json, "Entry not found"),
            (b"{\"metadata\": {}, \"weight_map\": {}}", Kind::Json, "join them into one file"),
            (lfs.as_bytes(), Kind::LfsPointer, "to 223000000 bytes"),
            (b"/annex/objects/SHA256E-s1--2.pkl\n", Kind::AnnexPointer, "git annex get"),
            (b"404: Not Found", Kind::Text, "(`404: Not Found`)"),
            ("Zugriff verweigert \u{fc}".as_bytes(), Kind::Text, "verweigert \u{fc}"),
            (b"\x1f\x8b\x08\x00", Kind::Packed("gzip"), "packed with gzip: unpack it"),
            (&tar, Kind::Tar, "unpack it"),
            (b"PK\x03\x04\x14\x00", Kind::Zip, "a zip"),
            (b"\x80\x02}q\x00.", Kind::Pickle, "a pickle"),
            (b"(dp0\nS'ema'\n", Kind::Pickle, "a pickle"),
            (b"cdnnlib.util\nEasyDict\np0\n", Kind::Pickle, "a pickle"),
            (&header, Kind::Safetensors, "safetensors"),
            (b"\x93NUMPY\x01\x00", Kind::Npy, "numpy"),
            (b"\x89PNG\r\n\x1a\n\0", Kind::Image("PNG"), "an image (PNG)"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Kind::Image("WebP"), "WebP"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", Kind::Image("HEIC"), "HEIC"),
        ] {
            let found = Recognised::of(bytes).unwrap();
            assert_eq!(found.kind, kind, "{found}");
            assert!(found.to_string().contains(said), "{found}");
        }
        for unknown in
            [&b"Zugriff verweigert f\xfcr alle"[..], b"\x01\x02\x03\x04", b"\xff\xff\xff\xff\xff", &[0, 1]]
        {
            assert_eq!(Recognised::of(unknown), None);
        }
    }

    #[test]
    fn somebody_elses_words_are_kept_short() {
        let long = format!("{{\"error\": \"{}\"}}", "x\n".repeat(5000));
        let said = Recognised::of(long.as_bytes()).unwrap().to_string();
        assert!(said.len() < 300 && !said.contains('\n'), "{said}");
    }
}
