//! An archive written by hand, byte for byte: nothing here keeps a rule unless it is told to.
//!
//! It is a second implementation of SPEC S6 to S9 for writing, from the text alone. What it writes without a lie is
//! accepted, so that a refusal is a refusal of the lie.

use handover_shared::ids::BlockSize;
use minicbor::Encoder;

/// What a zstd stream begins with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const ZSTD_BLOCK_BYTES: u32 = 128 * 1024;
/// A stored frame is ended before it would be longer than this.
const FRAME_BYTES: usize = 1024 * 1024 + 60 * 1024;
const PIECE_BYTES: usize = 1024 * 1024;
const PAGE_BYTES: usize = 200 * 1024;
const MTIME: (i64, u32) = (1_700_000_000, 123_456_789);

/// Fields of an Entry item or of a record, as the writer wants them to be.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Path bytes.
    pub path: Vec<u8>,
    /// 0 file, 1 folder, 2 link.
    pub kind: u8,
    /// Permission bits and whatever else.
    pub mode: u32,
    /// Announced length.
    pub size: u64,
    /// Of a link.
    pub target: Option<Vec<u8>>,
}

impl Fields {
    /// A file.
    pub fn file(path: impl AsRef<[u8]>, size: u64) -> Self {
        Self { path: path.as_ref().to_vec(), kind: 0, mode: 0o644, size, target: None }
    }

    /// A folder.
    pub fn folder(path: impl AsRef<[u8]>) -> Self {
        Self { path: path.as_ref().to_vec(), kind: 1, mode: 0o755, size: 0, target: None }
    }

    /// A link.
    pub fn link(path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        let target = Some(target.as_ref().to_vec());
        Self { path: path.as_ref().to_vec(), kind: 2, mode: 0o777, size: 0, target }
    }

    /// With another mode.
    #[must_use]
    pub fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }
}

/// Where an entry begins: frame and item.
#[derive(Clone, Copy, Debug)]
struct Place {
    frame: u64,
    item: u32,
}

/// What the tail says; it is filled with the truth and may be changed.
#[derive(Clone, Debug)]
pub struct Closing {
    /// Blocks of the stream.
    pub stream_blocks: u64,
    /// Files, folders, links, exceptions.
    pub counts: [u64; 4],
    /// Files, folders and links together.
    pub entries: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Over the manifest.
    pub root: [u8; 32],
    /// Block and offset where the catalogue begins.
    pub catalogue: (u64, u32),
    /// Every record.
    pub records: Vec<Vec<u8>>,
}

/// An archive under construction.
pub struct Archive {
    size: BlockSize,
    manifest_key: [u8; 32],
    /// Frames as they travel.
    stream: Vec<u8>,
    /// The items of the frame under way.
    raw: Vec<u8>,
    records: Vec<(Vec<u8>, Place)>,
    counts: [u64; 4],
    bytes: u64,
    /// Pages written by hand take the place of the true ones.
    pages: Vec<Vec<u8>>,
}

/// A finished archive.
pub struct Written {
    /// The used bytes of each stream block.
    pub stream: Vec<Vec<u8>>,
    /// What the tail should say.
    pub closing: Closing,
}

impl Archive {
    /// An empty one.
    pub fn new(size: BlockSize, manifest_key: [u8; 32]) -> Self {
        let (stream, raw, records, pages) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { size, manifest_key, stream, raw, records, counts: [0; 4], bytes: 0, pages }
    }

    /// A whole file that keeps every rule, if its path does.
    pub fn file(&mut self, path: impl AsRef<[u8]>, content: &[u8]) {
        self.file_as(&Fields::file(path, content.len() as u64), content);
    }

    /// A whole file whose entry says what it says.
    pub fn file_as(&mut self, fields: &Fields, content: &[u8]) {
        let place = self.entry(fields);
        for piece in content.chunks(PIECE_BYTES) {
            self.item(2, piece);
        }
        let hash: [u8; 32] = blake3::hash(content).into();
        self.end(content.len() as u64, &hash);
        self.listed(place, &record(fields, content.len() as u64, Some(&hash)));
        self.counts[0] += 1;
        self.bytes += content.len() as u64;
    }

    /// A folder.
    pub fn folder(&mut self, path: impl AsRef<[u8]>) {
        self.folder_as(&Fields::folder(path));
    }

    /// A folder whose entry says what it says.
    pub fn folder_as(&mut self, fields: &Fields) {
        let place = self.entry(fields);
        self.listed(place, &record(fields, fields.size, None));
        self.counts[1] += 1;
    }

    /// A link.
    pub fn link(&mut self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) {
        let fields = Fields::link(path, target);
        let place = self.entry(&fields);
        self.listed(place, &record(&fields, 0, None));
        self.counts[2] += 1;
    }

    /// An exception.
    pub fn exception(&mut self, path: impl AsRef<[u8]>, reason: u8) {
        let place = self.item(
            4,
            &cbor(|e| {
                e.array(2).unwrap().bytes(path.as_ref()).unwrap().u8(reason).unwrap();
            }),
        );
        let path = path.as_ref();
        let record = cbor(|e| {
            e.array(9).unwrap().bytes(path).unwrap().u8(3).unwrap().u8(0).unwrap().u8(0).unwrap().u8(0).unwrap();
            e.u8(0).unwrap().null().unwrap().null().unwrap().u8(reason).unwrap();
        });
        self.listed(place, &record);
        self.counts[3] += 1;
    }

    /// Adds a line to the catalogue, for an item that began at the beginning of the archive or wherever the last one
    /// did.
    pub fn claim_record(&mut self, record: &[u8]) {
        let place = self.records.last().map_or(Place { frame: 0, item: 0 }, |(_, place)| *place);
        self.records.push((record.to_vec(), place));
    }

    /// Puts a page into the catalogue instead of the true ones.
    pub fn claim_page(&mut self, body: Vec<u8>) {
        self.pages.push(body);
    }

    /// Changes what the catalogue says of the last entry.
    ///
    /// # Panics
    /// When there is none.
    pub fn relist(&mut self, record: Vec<u8>) {
        self.records.last_mut().expect("an entry was listed").0 = record;
    }

    fn listed(&mut self, place: Place, record: &[u8]) {
        self.records.push((record.to_vec(), place));
    }

    /// An Entry item, and nothing else.
    fn entry(&mut self, fields: &Fields) -> Place {
        self.item(1, &entry(fields))
    }

    /// An Entry item that is not listed and of which nothing else follows by itself.
    pub fn bare_entry(&mut self, fields: &Fields) {
        self.entry(fields);
    }

    /// An EntryEnd item.
    pub fn end(&mut self, size: u64, hash: &[u8; 32]) {
        self.item(
            3,
            &cbor(|e| {
                e.array(3).unwrap().u8(0).unwrap().u64(size).unwrap().bytes(hash).unwrap();
            }),
        );
    }

    /// Any item at all.
    pub fn any_item(&mut self, tag: u8, body: &[u8]) {
        self.item(tag, body);
    }

    /// The head of an item with any length, and a body of another.
    pub fn lying_item(&mut self, tag: u8, length: u32, body: &[u8]) {
        self.raw.push(tag);
        self.raw.extend_from_slice(&length.to_be_bytes());
        self.raw.extend_from_slice(body);
    }

    fn item(&mut self, tag: u8, body: &[u8]) -> Place {
        if self.raw.len() + body.len() > FRAME_BYTES {
            self.cut();
        }
        let place = Place { frame: self.stream.len() as u64, item: self.raw.len() as u32 };
        self.lying_item(tag, body.len() as u32, body);
        place
    }

    /// Ends the frame under way.
    pub fn cut(&mut self) {
        if !self.raw.is_empty() {
            let raw = std::mem::take(&mut self.raw);
            self.frame(0, raw.len() as u32, raw.len() as u32, &raw);
        }
    }

    /// Ends the frame under way, compressed by `pack`, which keeps what it says true.
    pub fn cut_packed(&mut self, pack: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let raw = std::mem::take(&mut self.raw);
        let frame = pack(raw);
        self.stream.extend_from_slice(&frame);
    }

    /// Any frame at all.
    pub fn frame(&mut self, codec: u8, raw_length: u32, stored_length: u32, body: &[u8]) {
        self.stream.extend_from_slice(&[codec, 0, 0, 0]);
        self.stream.extend_from_slice(&raw_length.to_be_bytes());
        self.stream.extend_from_slice(&stored_length.to_be_bytes());
        self.stream.extend_from_slice(body);
    }

    /// How many bytes one block of the stream takes.
    fn used_bytes(&self) -> u64 {
        (self.size.payload_bytes() - 8) as u64
    }

    fn location(&self, at: u64) -> (u64, u32) {
        (at / self.used_bytes(), (at % self.used_bytes()) as u32)
    }

    /// Writes the catalogue and closes.
    pub fn close(mut self) -> Written {
        self.cut();
        let catalogue = self.location(self.stream.len() as u64);
        let pages = if self.pages.is_empty() { self.true_pages() } else { std::mem::take(&mut self.pages) };
        for page in pages {
            if self.raw.len() + page.len() > FRAME_BYTES {
                self.cut();
            }
            self.lying_item(5, page.len() as u32, &page);
        }
        self.cut();
        let stream: Vec<Vec<u8>> = self.stream.chunks(self.used_bytes() as usize).map(<[u8]>::to_vec).collect();
        let closing = Closing {
            stream_blocks: stream.len() as u64,
            counts: self.counts,
            entries: self.counts[..3].iter().sum(),
            bytes: self.bytes,
            root: self.root(),
            catalogue,
            records: self.records.iter().map(|(record, _)| record.clone()).collect(),
        };
        Written { stream, closing }
    }

    fn true_pages(&self) -> Vec<Vec<u8>> {
        let mut pages = Vec::new();
        let (mut lines, mut count, mut first) = (Vec::new(), 0, 0);
        for (record, place) in &self.records {
            let (block, offset) = self.location(place.frame);
            lines.extend_from_slice(&cbor(|e| {
                e.array(4).unwrap();
            }));
            lines.extend_from_slice(record);
            lines.extend_from_slice(&cbor(|e| {
                e.u64(block).unwrap().u32(offset).unwrap().u32(place.item).unwrap();
            }));
            count += 1;
            if lines.len() > PAGE_BYTES {
                pages.push(page(first, count, &lines));
                (lines, first, count) = (Vec::new(), first + count, 0);
            }
        }
        if count > 0 || pages.is_empty() {
            pages.push(page(first, count, &lines));
        }
        pages
    }

    /// SPEC [S9.2].
    fn root(&self) -> [u8; 32] {
        let hashed = |parts: &[&[u8]]| -> [u8; 32] {
            let mut hasher = blake3::Hasher::new_keyed(&self.manifest_key);
            for part in parts {
                hasher.update(part);
            }
            hasher.finalize().into()
        };
        fn head(leaves: &[[u8; 32]], hashed: &dyn Fn(&[&[u8]]) -> [u8; 32]) -> [u8; 32] {
            match leaves {
                [] => hashed(&[&[2]]),
                [only] => *only,
                _ => {
                    let left = leaves.len().next_power_of_two() / 2;
                    let (left, right) = leaves.split_at(left);
                    hashed(&[&[1], &head(left, hashed), &head(right, hashed)])
                }
            }
        }
        let leaves: Vec<[u8; 32]> = self.records.iter().map(|(record, _)| hashed(&[&[0], record])).collect();
        hashed(&[&[3], &(leaves.len() as u64).to_be_bytes(), &head(&leaves, &hashed)])
    }
}

/// The body of a page whose numbers say what they say.
pub fn page(first: u64, count: u64, lines: &[u8]) -> Vec<u8> {
    let mut body = cbor(|e| {
        e.array(2).unwrap().u64(first).unwrap().array(count).unwrap();
    });
    body.extend_from_slice(lines);
    body
}

/// The body of an Entry item.
pub fn entry(fields: &Fields) -> Vec<u8> {
    cbor(|e| {
        e.array(if fields.target.is_some() { 7 } else { 6 }).unwrap();
        e.bytes(&fields.path).unwrap().u8(fields.kind).unwrap().u32(fields.mode).unwrap();
        e.i64(MTIME.0).unwrap().u32(MTIME.1).unwrap().u64(fields.size).unwrap();
        if let Some(target) = &fields.target {
            e.bytes(target).unwrap();
        }
    })
}

/// A record: SPEC [S9.1].
pub fn record(fields: &Fields, size: u64, hash: Option<&[u8; 32]>) -> Vec<u8> {
    cbor(|e| {
        let count = match (hash, &fields.target) {
            (_, Some(_)) => 8,
            (Some(_), None) => 7,
            (None, None) => 6,
        };
        e.array(count).unwrap().bytes(&fields.path).unwrap().u8(fields.kind).unwrap().u32(fields.mode).unwrap();
        e.i64(MTIME.0).unwrap().u32(MTIME.1).unwrap().u64(size).unwrap();
        match (hash, &fields.target) {
            (Some(hash), _) => {
                e.bytes(hash).unwrap();
            }
            (None, Some(target)) => {
                e.null().unwrap().bytes(target).unwrap();
            }
            (None, None) => {}
        }
    })
}

/// The tail record.
pub fn tail(closing: &Closing, seal_text: &str, seal_signature: &str) -> Vec<u8> {
    cbor(|e| {
        e.array(12).unwrap().u64(closing.stream_blocks).unwrap().u64(closing.entries).unwrap();
        for count in closing.counts {
            e.u64(count).unwrap();
        }
        e.u64(closing.bytes).unwrap().bytes(&closing.root).unwrap();
        e.u64(closing.catalogue.0).unwrap().u32(closing.catalogue.1).unwrap();
        e.str(seal_text).unwrap().str(seal_signature).unwrap();
    })
}

/// A zstd stream that unpacks to this many bytes of zeros, 128 KiB for each four of its own; it names no length.
pub fn bomb(bytes: u64) -> Vec<u8> {
    // No checksum, no length, a window of 2 MiB.
    let mut stream = [&ZSTD_MAGIC[..], &[0x00, 0x58]].concat();
    let mut left = bytes;
    while left > 0 {
        let now = left.min(u64::from(ZSTD_BLOCK_BYTES)) as u32;
        left -= u64::from(now);
        // One repeated byte: type 1.
        let head = u32::from(left == 0) | (1 << 1) | (now << 3);
        stream.extend_from_slice(&head.to_le_bytes()[..3]);
        stream.push(0);
    }
    stream
}

fn cbor(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes));
    bytes
}
