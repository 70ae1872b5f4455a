//! Writes tensors as torch pickles them: views of legacy archives in byte strings.

use burn::tensor::{DType, TensorData};

use super::pickle::Pickler;

/// Any number will do; torch takes the address of the memory.
const KEY: &str = "94906080514192";

impl Pickler {
    /// A tensor on its own storage.
    pub fn tensor(&mut self, data: &TensorData) {
        let shape = data.shape().to_vec();
        let mut strides = vec![1; shape.len()];
        for i in (1..shape.len()).rev() {
            strides[i - 1] = strides[i] * shape[i];
        }
        self.call("torch._utils", "_rebuild_tensor_v2", |p| {
            p.call("torch.storage", "_load_from_bytes", |p| p.raw(&storage(data)));
            p.int(0);
            p.extents(&shape);
            p.extents(&strides);
            p.bool(false);
            p.ordered_dict();
        });
    }

    pub fn parameter(&mut self, data: &TensorData) {
        self.call("torch._utils", "_rebuild_parameter", |p| {
            p.tensor(data);
            p.bool(false);
            p.ordered_dict();
        });
    }
}

/// A storage as `torch.save` writes it without a zip: five pickles of protocol 2, then the elements.
pub fn storage(data: &TensorData) -> Vec<u8> {
    let class = match data.dtype() {
        DType::F16 => "HalfStorage",
        DType::F32 => "FloatStorage",
        other => panic!("no network is stored as {other:?}"),
    };
    let count = data.shape().iter().product::<usize>();
    let mut bytes = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
    // What the machine is like.
    let mut next = Old::begin(&mut bytes);
    next.op(b"}").remember().op(b"(").text("protocol_version").op(b"M\xe9\x03");
    next.text("little_endian").op(&[0x88]).text("type_sizes").op(b"}").remember().op(b"(");
    next.text("short").op(b"K\x02").text("int").op(b"K\x04").text("long").op(b"K\x04").op(b"uu.");
    // A reference to the storage, and which ones follow.
    let mut next = Old::begin(&mut bytes);
    next.op(b"(").text("storage").op(format!("ctorch\n{class}\n").as_bytes()).remember();
    next.text(KEY).text("cpu").op(&whole(count)).op(b"Nt").remember().op(b"Q.");
    Old::begin(&mut bytes).op(b"]").remember().text(KEY).op(b"a.");
    bytes.extend((count as i64).to_le_bytes());
    bytes.extend(data.as_bytes());
    bytes
}

/// A pickle of protocol 2, which remembers whatever it could need again.
struct Old<'a> {
    bytes: &'a mut Vec<u8>,
    memo: u8,
}

impl<'a> Old<'a> {
    fn begin(bytes: &'a mut Vec<u8>) -> Self {
        bytes.extend(b"\x80\x02");
        Self { bytes, memo: 0 }
    }

    fn op(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn remember(&mut self) -> &mut Self {
        self.memo += 1;
        self.op(&[b'q', self.memo - 1])
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.op(b"X").op(&(text.len() as u32).to_le_bytes()).op(text.as_bytes()).remember()
    }
}

/// A whole number in the fewest bytes.
fn whole(n: usize) -> Vec<u8> {
    match n {
        0..=0xff => vec![b'K', n as u8],
        0x100..=0xffff => [&b"M"[..], &(n as u16).to_le_bytes()].concat(),
        _ => [&b"J"[..], &(n as u32).to_le_bytes()].concat(),
    }
}
