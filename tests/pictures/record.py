"""Image files of every kind, and checksums of what Pillow makes of them.
usage: record.py OUT [VARIANTS]   (numpy and pillow 13; more variants are other sizes and contents of the same kinds)
Pixels with transparency under `over` are pasted on a colour. `edm` is np.array(open(file)), `edm2` is open(file).convert("RGB")."""
import gzip, io, itertools, json, os, struct, sys, tarfile, warnings, zlib
import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
out, variants = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
rng = np.random.default_rng(0)
files, table = [], []


def checksum(a):
    h, w = a.shape[:2]
    c = 1 if a.ndim == 2 else a.shape[2]
    return zlib.crc32(bytes([w & 255, h & 255, c]) + np.ascontiguousarray(a).tobytes())


def put(name, data, says=None, refused=False):
    """`refused` where sida says no on purpose, although Pillow says yes."""
    row = {"name": name, "edm": None, "edm2": None}
    try:
        if refused:
            raise OSError
        i = Image.open(io.BytesIO(data))
        a = np.array(i)
        if i.mode in ("L", "RGB"):
            row["edm"] = checksum(a)
        row["edm2"] = checksum(np.array(i.convert("RGB")))
        if i.mode in ("LA", "RGBA") or "transparency" in i.info:
            colour = tuple(map(int, rng.integers(0, 256, 3)))
            rgba = i.convert("RGBA")
            back = Image.new("RGB", i.size, colour)
            back.paste(rgba, mask=rgba.getchannel("A"))
            row["over"] = [colour, checksum(np.array(back))]
    except Exception:
        row["edm"] = row["edm2"] = None
    if says:
        row["says"] = says
    files.append((name, data))
    table.append(row)


def size(most=30):
    return int(rng.integers(1, most)), int(rng.integers(1, most))


def picture(w, h, c=3):
    """Waves and a little noise: smooth enough for JPEG, with edges."""
    y, x = np.mgrid[0:h, 0:w]
    waves = [np.sin(x / rng.uniform(2, 9) + y / rng.uniform(2, 9) + rng.uniform(0, 6)) * 150 + rng.uniform(60, 200) for _ in range(c)]
    a = np.stack(waves, -1) + rng.normal(0, 12, (h, w, c))
    return a.clip(0, 255).astype(np.uint8).squeeze(-1) if c == 1 else a.clip(0, 255).astype(np.uint8)


def saved(image, form, **options):
    b = io.BytesIO()
    image.save(b, format=form, **options)
    return b.getvalue()


# --- PNG
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(samples, depth):
    """Rows of samples [h, n] as bytes."""
    if depth == 16:
        return [row.astype(">u2").tobytes() for row in samples]
    bits = (samples[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
    return [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in bits]


def filtered(rows, step):
    result, before = b"", None
    for row in rows:
        row = np.frombuffer(row, np.uint8).astype(int)
        before = np.zeros_like(row) if before is None else before
        left = np.concatenate([np.zeros(step, int), row])[: len(row)]
        corner = np.concatenate([np.zeros(step, int), before])[: len(row)]
        p = left + before - corner
        pa, pb, pc = abs(p - left), abs(p - before), abs(p - corner)
        paeth = np.where((pa <= pb) & (pa <= pc), left, np.where(pb <= pc, before, corner))
        kind = int(rng.integers(0, 5))
        guess = [0 * row, left, before, (left + before) // 2, paeth][kind]
        result += bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes()
        before = row
    return result


EACH = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(w, h, depth, kind, samples, extra=b"", interlace=0, pieces=1):
    each = EACH[kind]
    step = max(1, each * depth // 8)
    flat = lambda s: s.reshape(s.shape[0], -1)
    if interlace:
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        raw = b"".join(filtered(packed(flat(p), depth), step) for p in passes if p.size)
    else:
        raw = filtered(packed(flat(samples), depth), step)
    z = zlib.compress(raw)
    cuts = sorted(int(v) for v in rng.integers(0, len(z), pieces - 1))
    data = b"".join(chunk(b"IDAT", z[a:b]) for a, b in zip([0, *cuts], [*cuts, len(z)]))
    head = struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + data + chunk(b"IEND", b"")


def pngs(v):
    for kind, interlace in itertools.product(EACH, (0, 1)):
        for depth in DEPTHS[kind]:
            w, h = size(20)
            samples = rng.integers(0, 1 << depth, (h, w, EACH[kind]))
            if kind == 3:
                entries = int(rng.integers(1, (1 << depth) + 1))
                plain = chunk(b"PLTE", rng.integers(0, 256, 3 * entries, dtype=np.uint8).tobytes())
                alpha = rng.integers(0, 256, int(rng.integers(1, entries + 1)), dtype=np.uint8).tobytes()
                one = b"\xff" * int(rng.integers(0, entries)) + b"\0"
                keys = {"": plain, "-trns": plain + chunk(b"tRNS", alpha), "-trns-index": plain + chunk(b"tRNS", one)}
            elif kind in (0, 2):
                key = samples[0, 0].astype(">u2").tobytes()
                keys = {"": b"", "-trns": chunk(b"tRNS", key)}
            else:
                keys = {"": b""}
            for suffix, extra in keys.items():
                name = f"png-type{kind}-{depth}bit{'-interlaced' if interlace else ''}{suffix}-{v}.png"
                sixteen = kind == 0 and depth == 16
                put(name, png(w, h, depth, kind, samples, extra, interlace, pieces=int(rng.integers(1, 4))),
                    "16-bit gray" if sixteen else None, refused=sixteen)
                # Pillow compares a key with samples that it has scaled or cut already.
                if suffix and kind in (0, 2) and depth != 8:
                    table[-1].pop("over", None)
    w, h = size()
    a = picture(w, h)
    rgb = a.astype(int)
    other = {"gamma": chunk(b"gAMA", struct.pack(">I", 100000)), "srgb": chunk(b"sRGB", b"\0"),
             "icc": chunk(b"iCCP", b"x\0\0" + zlib.compress(b"x" * 200)), "bad-icc": chunk(b"iCCP", b"x\0\0" + b"?" * 20),
             "text": chunk(b"zTXt", b"k\0\0" + zlib.compress(b"z" * 5000)) + chunk(b"tEXt", b"k\0v"),
             "suggested-palette": chunk(b"PLTE", bytes(range(30)))}
    for name, extra in other.items():
        put(f"png-{name}-{v}.png", png(w, h, 8, 2, rgb, extra))
    exif = Image.Exif()
    exif[0x0112] = 6
    put(f"png-exif-{v}.png", saved(Image.fromarray(a), "PNG", exif=exif))
    for blank in (False, True):
        put(f"png-animated-{blank}-{v}.png", saved(Image.fromarray(a), "PNG", save_all=True, default_image=blank,
                                                append_images=[Image.fromarray(255 - a)]))
    whole = png(w, h, 8, 2, rgb)
    put(f"png-cut-{v}.png", whole[: len(whole) // 2], "cannot be decoded")
    put(f"png-no-end-{v}.png", whole[:-12], "cannot be decoded", refused=True)
    bad = bytearray(whole)
    bad[-20] ^= 1
    put(f"png-bad-checksum-{v}.png", bytes(bad), "cannot be decoded", refused=True)


# --- JPEG
def tables_of(jpeg):
    """The standard's Huffman tables, as libjpeg writes them: codes by class and number."""
    at, codes, segment = 2, {}, b""
    while jpeg[at + 1] != 0xDA:
        n = struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        if jpeg[at + 1] == 0xC4:
            segment += jpeg[at : at + 2 + n]
            p = jpeg[at + 4 : at + 2 + n]
            while p:
                counts, code, k, book = p[1:17], 0, 17, {}
                for bits, count in enumerate(counts, 1):
                    for _ in range(count):
                        book[p[k]] = (code, bits)
                        code, k = code + 1, k + 1
                    code <<= 1
                codes[p[0]], p = book, p[k:]
        at += 2 + n
    return codes, segment


CODES, HUFFMAN = tables_of(saved(Image.new("RGB", (8, 8)), "JPEG"))


def number(v):
    n = int(abs(v)).bit_length()
    return n, (v if v >= 0 else v + (1 << n) - 1)


def jpeg(w, h, factors, *, ids=None, adobe=None, jfif=False, restart=0, apart=False):
    """A baseline file of chance coefficients with any sampling factors."""
    ids = ids or range(1, len(factors) + 1)
    mh, mv = max(f[0] for f in factors), max(f[1] for f in factors)
    data = b"\xff\xd8"
    if jfif:
        data += b"\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0"
    if adobe is not None:
        data += b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0" + bytes([adobe])
    data += b"\xff\xdb\x00\x43\x00" + bytes(int(v) for v in rng.integers(1, 20, 64))
    data += b"\xff\xc0" + struct.pack(">HBHHB", 8 + 3 * len(factors), 8, h, w, len(factors))
    data += b"".join(bytes([i, f[0] << 4 | f[1], 0]) for i, f in zip(ids, factors)) + HUFFMAN
    if restart:
        data += b"\xff\xdd\x00\x04" + struct.pack(">H", restart)
    groups = [[c] for c in range(len(factors))] if apart or len(factors) == 1 else [list(range(len(factors)))]
    for group in groups:
        data += b"\xff\xda" + struct.pack(">HB", 6 + 2 * len(group), len(group))
        data += b"".join(bytes([ids[c], 0]) for c in group) + b"\0\x3f\0"
        if len(group) == 1:
            f = factors[group[0]]
            across, along = [-(-(-(-s * k // m)) // 8) for s, k, m in ((w, f[0], mh), (h, f[1], mv))]
        else:
            across, along = -(-w // (8 * mh)), -(-h // (8 * mv))
        bits, before = [], [0] * len(factors)

        def emit(code, n):
            if n:
                bits.append(format(code, f"0{n}b"))

        def flush():
            nonlocal data
            s = "".join(bits)
            s += "1" * (-len(s) % 8)
            raw = int(s, 2).to_bytes(len(s) // 8, "big") if s else b""
            data += raw.replace(b"\xff", b"\xff\0")
            bits.clear()

        for unit in range(across * along):
            if restart and unit and unit % restart == 0:
                flush()
                data += bytes([0xFF, 0xD0 + (unit // restart - 1) % 8])
                before = [0] * len(factors)
            for c in group:
                blocks = 1 if len(group) == 1 else factors[c][0] * factors[c][1]
                for _ in range(blocks):
                    dc = int(rng.integers(-60, 60))
                    n, code = number(dc - before[c])
                    before[c] = dc
                    emit(*CODES[0][n]), emit(code, n)
                    k = 1
                    while k < 64 and rng.random() < 0.75:
                        run = int(rng.integers(0, 4))
                        if k + run > 63:
                            break
                        n, code = number(int(rng.choice([-9, -3, -1, 1, 2, 5])))
                        emit(*CODES[16][run << 4 | n]), emit(code, n)
                        k += run + 1
                    if k < 64:
                        emit(*CODES[16][0])
        flush()
    return data + b"\xff\xd9"


def jpegs(v):
    kinds = itertools.product((0, 1, 2), (False, True), (0, 3))
    for sampling, progressive, restart in kinds:
        w, h = size(40)
        options = {"restart_marker_blocks": restart} if restart else {}
        data = saved(Image.fromarray(picture(w, h)), "JPEG", quality=int(rng.integers(20, 100)), subsampling=sampling,
                     progressive=progressive, **options)
        put(f"jpg-{sampling}-{progressive}-{restart}-{v}.jpg", data)
    for progressive in (False, True):
        w, h = size(40)
        put(f"jpg-gray-{progressive}-{v}.jpg", saved(Image.fromarray(picture(w, h, 1)), "JPEG", progressive=progressive))
        put(f"jpg-rgb-kept-{progressive}-{v}.jpg", saved(Image.fromarray(picture(w, h)), "JPEG", keep_rgb=True, progressive=progressive))
        cmyk = saved(Image.fromarray(picture(w, h, 4), "CMYK"), "JPEG", quality=90, progressive=progressive)
        at = cmyk.index(b"\xff\xee")
        length = struct.unpack(">H", cmyk[at + 2 : at + 4])[0]
        put(f"jpg-cmyk-{progressive}-{v}.jpg", cmyk, "CMYK")
        put(f"jpg-cmyk-plain-{progressive}-{v}.jpg", cmyk[:at] + cmyk[at + 2 + length :], "CMYK")
        for transform in (1, 2):
            other = bytearray(cmyk)
            other[at + 1 + length] = transform
            put(f"jpg-cmyk-adobe{transform}-{progressive}-{v}.jpg", bytes(other), "CMYK")
    factors = [[(1, 2), (1, 1), (1, 1)], [(4, 1), (1, 1), (1, 1)], [(2, 2), (2, 1), (1, 2)], [(1, 1), (2, 1), (1, 1)], [(4, 2), (1, 1), (2, 1)],
               [(1, 1), (1, 1), (2, 2)], [(1, 4), (1, 1), (1, 2)], [(2, 1), (1, 2), (1, 1)], [(2, 2), (2, 2), (2, 2)], [(3, 1), (1, 1), (1, 1)]]
    for i, f in enumerate(factors):
        for apart in (False, True):
            w, h = size(40)
            put(f"jpg-factors{i}-{apart}-{v}.jpg", jpeg(w, h, f, apart=apart, restart=int(rng.integers(0, 4))))
    for i, f in enumerate([[(3, 1), (2, 1), (1, 1)], [(4, 2), (3, 1), (1, 1)], [(4, 4), (1, 1), (1, 1)]]):
        put(f"jpg-odd-factors{i}-{v}.jpg", jpeg(20, 12, f))
    for i, f in enumerate([[(1, 1)] * 4, [(2, 2), (1, 1), (1, 1), (2, 2)], [(2, 1), (1, 1), (1, 1), (2, 1)], [(1, 1), (1, 1), (1, 1), (2, 2)]]):
        for adobe in (None, 0, 2):
            w, h = size(40)
            put(f"jpg-four{i}-{adobe}-{v}.jpg", jpeg(w, h, f, adobe=adobe, apart=i == 1), "CMYK")
    for i, (ids, adobe, jfif) in enumerate([(b"RGB", None, False), (b"RGB", None, True), (b"RGB", 1, False), (b"\1\2\3", 0, False), (b"\1\2\3", 0, True),
                                            (b"\0\1\2", None, False), (b"rgb", None, False), (b"\1\2\3", 2, False), (b"RGB", 0, False)]):
        put(f"jpg-ids{i}-{v}.jpg", jpeg(*size(20), [(1, 1)] * 3, ids=ids, adobe=adobe, jfif=jfif))
    put(f"jpg-two-components-{v}.jpg", jpeg(9, 9, [(1, 1)] * 2), "2 components")
    put(f"jpg-gray-factors-{v}.jpg", jpeg(*size(), [(2, 2)]))
    w, h = 40, 40
    image = Image.fromarray(picture(w, h))
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = saved(image, "JPEG", exif=exif, icc_profile=b"x" * 300, comment="words", quality=60)
    put(f"jpg-metadata-{v}.jpe", whole)
    put(f"jpg-more-behind-{v}.jfif", whole + bytes(500))
    put(f"jpg-two-images-{v}.mpo", saved(image, "MPO", save_all=True, append_images=[image.rotate(90)]))
    put(f"jpg-cut-{v}.jpg", whole[: len(whole) * 2 // 3], "cut off")
    put(f"jpg-no-end-{v}.jpg", whole[:-2], "cut off", refused=True)
    progressive = saved(image, "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    put(f"jpg-scans-missing-{v}.jpg", progressive[: progressive.index(b"\xff\xda", progressive.index(b"\xff\xda") + 2)] + b"\xff\xd9", "scans are missing", refused=True)
    put(f"jpg-last-scan-missing-{v}.jpg", progressive[:last] + b"\xff\xd9", "scans are missing", refused=True)
    baseline = jpeg(16, 16, [(1, 1)])
    for marker, says in ((0xC3, "lossless"), (0xC9, "arithmetically"), (0xCA, "arithmetically"), (0xC5, "hierarchical")):
        put(f"jpg-sof{marker:x}-{v}.jpg", baseline.replace(b"\xff\xc0", bytes([0xFF, marker])), says, refused=True)
    put(f"jpg-12bit-{v}.jpg", baseline.replace(b"\xff\xc0\x00\x0b\x08", b"\xff\xc1\x00\x0b\x0c"), "12 bits")


# --- BMP
def bmp(w, h, bits, rows, *, header=40, compression=0, palette=b"", colours=0, masks=b"", down=False, offset=None):
    tall = -h if down else h
    if header == 12:
        dib = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        dib = struct.pack("<IiiHHIIiiII", header, w, tall, 1, bits, compression, len(rows), 2835, 2835, colours, 0)
        dib += masks[: max(0, header - 40)].ljust(header - 40, b"\0")
    behind = masks[:12] if header == 40 and compression == 3 else b""
    at = 14 + len(dib) + len(behind) + len(palette)
    return struct.pack("<2sIHHI", b"BM", at + len(rows), 0, 0, at if offset is None else offset) + dib + behind + palette + rows


def padded(rows):
    return b"".join(r + bytes(-len(r) % 4) for r in rows)


def runs(w, h, half):
    """Chance runs of every kind; what they make is Pillow's business."""
    data, y, x = b"", 0, 0
    most = 16 if half else 256
    while y < h:
        left = w - x
        kind = rng.random()
        if left == 0 or kind < 0.05 and x:
            data, y, x = data + b"\0\0", y + 1, 0
        elif kind < 0.12 and left > 1 and y < h - 2:
            step = int(rng.integers(0, left))
            up = int(rng.integers(0, 2))
            data, x, y = data + bytes([0, 2, step, up]), x + step, y + up
        elif kind < 0.4 and left >= 3:
            n = int(rng.integers(3, min(left, 255) + 1))
            body = rng.integers(0, 256, -(-n // 2) if half else n, dtype=np.uint8).tobytes()
            data, x = data + bytes([0, n]) + body + bytes(len(body) % 2), x + n
        else:
            n = int(rng.integers(1, min(left, 255) + 1))
            data, x = data + bytes([n, int(rng.integers(0, most if not half else 256))]), x + n
    return data + b"\0\1"


def bmps(v):
    ramp = lambda n: b"".join(bytes([255 * i if n == 2 else i] * 3) for i in range(n))
    def entries(p, n):
        return b"".join(p[3 * i : 3 * i + 3] + b"\0" * (n - 3) for i in range(len(p) // 3))
    for bits, header in itertools.product((1, 4, 8), (12, 40, 64, 108, 124)):
        full = 1 << bits
        for kind in ("colours", "gray", "swapped", "few"):
            n = full if kind != "few" else int(rng.integers(1, full)) if header != 12 else full
            colours = rng.integers(0, 256, 3 * n, dtype=np.uint8).tobytes()
            palette = {"colours": colours, "gray": ramp(n), "swapped": ramp(n)[::-1], "few": colours}[kind]
            w, h = size(15)
            rows = padded(packed(rng.integers(0, full, (h, w)), bits))
            data = bmp(w, h, bits, rows, header=header, palette=entries(palette, 3 if header == 12 else 4),
                       colours=n if n != full else 0, down=header != 12 and bool(rng.integers(0, 2)))
            misread = kind == "gray" and bits == 4
            put(f"bmp-{bits}bit-{header}-{kind}-{v}.bmp", data, "gray palette" if misread else None, refused=misread)
    for n, bits in ((2, 8), (2, 4), (16, 8), (100, 8)):
        w, h = size(20)
        rows = padded(packed(rng.integers(0, n, (h, w)), bits))
        put(f"bmp-ramp{n}-{bits}bit-{v}.bmp", bmp(w, h, bits, rows, palette=entries(ramp(n), 4), colours=n), refused=n == 2)
    for half, kind in itertools.product((False, True), ("colours", "gray")):
        bits, n = (4, 16) if half else (8, 256)
        w, h = size(15)
        palette = ramp(n) if kind == "gray" else rng.integers(0, 256, 3 * n, dtype=np.uint8).tobytes()
        rows = runs(w, h, half)
        put(f"bmp-rle{bits}-{kind}-{v}.bmp", bmp(w, h, bits, rows, compression=2 if half else 1, palette=entries(palette, 4)))
        if w * h > 60:
            put(f"bmp-rle{bits}-{kind}-cut-{v}.bmp", bmp(w, h, bits, rows[: len(rows) // 2 & ~1], compression=2 if half else 1, palette=entries(palette, 4)), "cut off")
    for bits, header in itertools.product((16, 24, 32), (12, 40, 52, 56, 64, 108, 124)):
        w, h = size(15)
        rows = padded([rng.integers(0, 256, w * bits // 8, dtype=np.uint8).tobytes() for _ in range(h)])
        put(f"bmp-{bits}bit-{header}-{v}.dib", bmp(w, h, bits, rows, header=header, down=header != 12 and bool(rng.integers(0, 2))))
    masks = {16: [(0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0), (0xF00, 0xF0, 0xF, 0)], 24: [(0xFF0000, 0xFF00, 0xFF, 0)],
             32: [(0xFF0000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0), (0xFF000000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
                  (0xFF, 0xFF00, 0xFF0000, 0xFF000000), (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF000000, 0xFF00, 0xFF, 0xFF0000), (0, 0, 0, 0),
                  (0xFF, 0xFF00, 0xFF0000, 0), (0x3FF00000, 0xFFC00, 0x3FF, 0)]}
    for bits, header in itertools.product(masks, (40, 52, 56, 108, 124)):
        for i, mask in enumerate(masks[bits]):
            w, h = size(10)
            rows = padded([rng.integers(0, 256, w * bits // 8, dtype=np.uint8).tobytes() for _ in range(h)])
            put(f"bmp-masks-{bits}bit-{header}-{i}-{v}.bmp", bmp(w, h, bits, rows, header=header, compression=3, masks=struct.pack("<4I", *mask)))
    w, h = 9, 7
    rows = padded(packed(rng.integers(0, 256, (h, w)), 8))
    palette = entries(rng.integers(0, 256, 768, dtype=np.uint8).tobytes(), 4)
    put(f"bmp-forgotten-palette-{v}.bmp", bmp(w, h, 8, rows, palette=palette, offset=54))
    put(f"bmp-last-padding-missing-{v}.bmp", bmp(w, h, 8, rows[:-3], palette=palette))
    put(f"bmp-cut-{v}.bmp", bmp(w, h, 8, rows[:-4], palette=palette), "cut off")
    for compression in (4, 5, 9):
        put(f"bmp-compression{compression}-{v}.bmp", bmp(w, h, 24, padded([bytes(27)] * 7), compression=compression), "BMP with")
    put(f"bmp-header16-{v}.bmp", bmp(w, h, 24, rows)[:14] + struct.pack("<I", 16) + bytes(400), "header of 16")
    put(f"bmp-2bit-{v}.bmp", bmp(w, h, 2, rows, palette=palette), "BMP with")


# --- WebP
def riff(kind, data):
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def webp(*chunks):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def three(n):
    return struct.pack("<I", n)[:3]


def extended_webps(v):
    """What the extended header says of alpha against what is there, and first frames that do not fill an animation."""
    for lossless, alpha, says_alpha in itertools.product((False, True), repeat=3):
        w, h = size(30)
        a = picture(w, h, 4 if alpha else 3)
        if alpha:
            a[: h // 2, :, 3] = 0
        still = saved(Image.fromarray(a), "WEBP", lossless=lossless, exact=True)
        at = 12 if still[12:16] != b"VP8X" else 30
        frame = still[at:]
        name = f"webp-extended-{lossless}-{alpha}-{says_alpha}"
        flags = 16 if says_alpha else 0
        put(f"{name}-{v}.webp", webp(riff(b"VP8X", bytes([flags, 0, 0, 0]) + three(w - 1) + three(h - 1)), frame))
        for blend in (0, 2):
            x, y = 2 * int(rng.integers(0, 5)), 2 * int(rng.integers(0, 5))
            head = riff(b"VP8X", bytes([flags | 2, 0, 0, 0]) + three(x + w + 4) + three(y + h + 2))
            anmf = three(x // 2) + three(y // 2) + three(w - 1) + three(h - 1) + three(50) + bytes([blend]) + frame
            put(f"{name}-animated{blend}-{v}.webp", webp(head, riff(b"ANIM", bytes([9, 99, 199, 255, 0, 0])), riff(b"ANMF", anmf)))


def webps(v):
    for lossless, alpha in itertools.product((False, True), (False, True)):
        for method in (0, 4, 6):
            w, h = size(40)
            image = Image.fromarray(picture(w, h, 4 if alpha else 3))
            put(f"webp-{lossless}-{alpha}-{method}-{v}.webp", saved(image, "WEBP", lossless=lossless, method=method, quality=int(rng.integers(0, 101)),
                                                                alpha_quality=int(rng.integers(20, 101)), exact=bool(rng.integers(0, 2))))
    w, h = size(40)
    few = Image.fromarray(picture(w, h)).quantize(int(rng.integers(2, 17)))
    put(f"webp-few-colours-{v}.webp", saved(few.convert("RGB"), "WEBP", lossless=True))
    opaque = Image.fromarray(picture(w, h)).convert("RGBA")
    put(f"webp-opaque-{v}.webp", saved(opaque, "WEBP"))
    put(f"webp-gray-{v}.webp", saved(Image.fromarray(picture(w, h, 1)), "WEBP"))
    exif = Image.Exif()
    exif[0x0112] = 6
    put(f"webp-metadata-{v}.webp", saved(Image.fromarray(picture(w, h)), "WEBP", exif=exif, icc_profile=b"x" * 99, xmp=b"<x/>"))
    for lossless, alpha in itertools.product((False, True), (False, True)):
        a = picture(w, h, 4 if alpha else 3)
        if alpha:
            a[: h // 2, :, 3] = 0
        put(f"webp-animated-{lossless}-{alpha}-{v}.webp", saved(Image.fromarray(a), "WEBP", save_all=True, lossless=lossless, background=(9, 99, 199, 255),
                                                              append_images=[Image.fromarray(a[::-1].copy())], duration=50, exact=True))
    extended_webps(v)
    whole = saved(Image.fromarray(picture(40, 40)), "WEBP")
    put(f"webp-cut-{v}.webp", whole[: len(whole) // 2], "cannot be decoded")


# --- what is something else
def others(v):
    image = Image.fromarray(picture(8, 8))
    for form, words in (("GIF", "a GIF"), ("TIFF", "a TIFF"), ("PPM", "a PPM"), ("ICO", "an icon"), ("JPEG2000", "a JPEG 2000"), ("AVIF", "an AVIF"), ("SGI", "an SGI"),
                        ("QOI", "a QOI"), ("DDS", "a DDS")):
        put(f"{form.lower()}-inside-{v}.png", saved(image, form), words.replace("an icon", "icon"), refused=True)
    put(f"text-inside-{v}.png", b"version https://git-lfs.github.com/spec/v1\n", "no image")
    put(f"zeros-inside-{v}.jpg", bytes(500), "zeros")
    put(f"empty-{v}.png", b"", "empty")
    put(f"png-inside-{v}.jpg", saved(image, "PNG"))
    put(f"jpg-inside-{v}.png", saved(image, "JPEG"))


for v in range(variants):
    pngs(v), jpegs(v), bmps(v), webps(v), others(v)
os.makedirs(out, exist_ok=True)
packed_files = io.BytesIO()
with tarfile.open(fileobj=packed_files, mode="w") as t:
    for name, data in files:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        t.addfile(info, io.BytesIO(data))
with open(os.path.join(out, "images.tar.gz"), "wb") as f:
    f.write(gzip.compress(packed_files.getvalue(), mtime=0))
with open(os.path.join(out, "expected.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps({k: v for k, v in row.items() if v is not None}) for row in table) + "\n]\n")
print(len(table), "files,", sum(row["edm2"] is None for row in table), "refused")
