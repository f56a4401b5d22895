//! Snapshots: files that stand for all blocks up to a position. Parts with names, streamed, every frame with a
//! checksum, the whole with another. A snapshot is there whole or not at all: written beside, fsynced, renamed, the
//! folder fsynced; then read back and verified.
//!
//! ```
//! use std::sync::Arc;
//! use csroute_journal::{OsDisk, Position, SnapshotReader, SnapshotWriter, newest_good};
//!
//! let path = std::env::temp_dir().join(format!("csroute-snapshot-{}", std::process::id()));
//! let disk = Arc::new(OsDisk::open(&path)?);
//! let position = Position { journal: [7; 16], block: 41, chain: [9; 16] };
//! let mut snapshot = SnapshotWriter::create(disk.clone(), position, 1, 1_700_000_000_000_000)?;
//! snapshot.part("tenant/default")?;
//! snapshot.write(b"its state")?;
//! snapshot.finish()?;
//!
//! let (good, bad) = newest_good(disk.as_ref())?;
//! let found = good.expect("it is there");
//! assert_eq!((found.position, bad.len()), (position, 0));
//! let mut reader = SnapshotReader::open(disk.as_ref(), &found.name)?;
//! while let Some(part) = reader.next_part()? {
//!     assert_eq!((&*part, reader.read_part()?), ("tenant/default", b"its state".to_vec()));
//! }
//! std::fs::remove_dir_all(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::disk::{Disk, DiskFile, append_all, in_folder, read_full};
use crate::error::{Error, Result};
use crate::format::{
    FRAME_BYTES, FileHeader, Magic, PARTIAL, Position, SNAPSHOT_HEADER_BYTES, array_at, frame, snapshot_name,
    snapshot_number, u32_at, u64_at, unframe,
};
use crate::segment::Window;

/// Data in one frame, bytes.
const CHUNK_BYTES: usize = 256 << 10;
/// Longest name of a part, bytes.
pub const PART_NAME_BYTES_MAX: usize = 1024;

const PART: u8 = 1;
const DATA: u8 = 2;
const END: u8 = 3;

/// A snapshot's file and head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its file.
    pub name: String,
    /// The blocks it stands for: up to and with this one.
    pub position: Position,
    /// The semantics version that it was made under.
    pub semantics: u32,
    /// The time of its state, Unix µs.
    pub time_us: i64,
    /// The file's length.
    pub bytes: u64,
}

/// Writes one. Dropped before `finish`, it leaves nothing that counts.
pub struct SnapshotWriter {
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    header: FileHeader,
    partial: String,
    /// Frames that wait to be written.
    buffer: Vec<u8>,
    /// Data of the part under way.
    data: Vec<u8>,
    hash: Sha256,
    bytes: u64,
    parts: u32,
    finished: bool,
}

impl SnapshotWriter {
    /// Begins one that stands for all blocks up to the position. `time_us`: of its state, Unix µs.
    pub fn create(disk: Arc<dyn Disk>, position: Position, semantics: u32, time_us: i64) -> Result<Self> {
        let partial = snapshot_name(position.block) + PARTIAL;
        let path = in_folder(disk.as_ref(), &partial);
        let failed = |source| Error::io("creating", &path, source);
        if disk.list().map_err(failed)?.contains(&partial) {
            disk.remove(&partial).map_err(failed)?; // a crash left it
        }
        let file = disk.create(&partial).map_err(failed)?;
        let header = FileHeader {
            semantics,
            position,
            time_us,
        };
        let mut writer = Self {
            disk,
            file,
            header,
            partial,
            buffer: header.encode(Magic::Snapshot).to_vec(),
            data: Vec::new(),
            hash: Sha256::new(),
            bytes: 0,
            parts: 0,
            finished: false,
        };
        writer.flush()?;
        Ok(writer)
    }

    /// Begins a part.
    pub fn part(&mut self, name: &str) -> Result<()> {
        if name.len() > PART_NAME_BYTES_MAX {
            return Err(Error::TooLarge {
                what: "a part's name",
                bytes: name.len(),
                bytes_max: PART_NAME_BYTES_MAX,
            });
        }
        self.data_frame();
        self.parts += 1;
        self.frame(&[&[PART], name.as_bytes()]);
        self.flush()
    }

    /// Appends data to the part.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.data.len()));
            self.data.extend_from_slice(now);
            bytes = rest;
            if self.data.len() == CHUNK_BYTES {
                self.data_frame();
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Ends it, makes it durable under its name, reads it back and verifies it.
    pub fn finish(mut self) -> Result<Snapshot> {
        self.data_frame();
        self.flush()?;
        let hash: [u8; 32] = self.hash.clone().finalize().into();
        let (parts, bytes) = (self.parts.to_le_bytes(), self.bytes.to_le_bytes());
        self.frame(&[&[END], &parts, &bytes, &hash]);
        self.flush()?;
        let name = snapshot_name(self.header.position.block);
        let path = in_folder(self.disk.as_ref(), &name);
        self.file
            .sync()
            .map_err(|source| Error::fatal("fsync of", &path, source))?;
        let renamed = self.disk.rename(&self.partial, &name);
        renamed.map_err(|source| Error::fatal("renaming to", &path, source))?;
        self.finished = true;
        let disk = self.disk.as_ref();
        disk.sync_folder()
            .map_err(|source| Error::fatal("fsync of", &disk.folder(), source))?;
        verify_snapshot(disk, &name)
    }

    fn data_frame(&mut self) {
        if !self.data.is_empty() {
            let data = std::mem::take(&mut self.data);
            self.frame(&[&[DATA], &data]);
            self.data = data;
            self.data.clear();
        }
    }

    fn frame(&mut self, parts: &[&[u8]]) {
        self.buffer.extend_from_slice(&frame(parts));
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.hash.update(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        let written = append_all(self.file.as_mut(), &self.buffer);
        self.buffer.clear();
        written.map_err(|source| Error::io("writing", &in_folder(self.disk.as_ref(), &self.partial), source))
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is removed by the next recovery.
            let _ = self.disk.remove(&self.partial);
        }
    }
}

/// Reads one, part by part. Errors name the file and the place.
pub struct SnapshotReader {
    path: String,
    /// Its head.
    snapshot: Snapshot,
    window: Window,
    offset: u64,
    /// The frame that was read and not handed out.
    ahead: Ahead,
    parts: u32,
    hash: Sha256,
}

#[derive(Debug, PartialEq, Eq)]
enum Ahead {
    Nothing,
    Part(String),
    /// Where in the file, and how long.
    Data(u64, usize),
    End,
}

impl SnapshotReader {
    /// Opens it and reads its head.
    pub fn open(disk: &dyn Disk, name: &str) -> Result<Self> {
        let path = in_folder(disk, name);
        let failed = |source| Error::fatal("reading", &path, source);
        let file = disk.open(name).map_err(failed)?;
        let mut head = [0; SNAPSHOT_HEADER_BYTES];
        read_full(file.as_ref(), 0, &mut head).map_err(failed)?;
        let bytes = file.len().map_err(failed)?;
        let wrong = match FileHeader::decode(&head, Magic::Snapshot) {
            Ok(header) if snapshot_number(name).is_none_or(|number| number == header.position.block) => {
                let snapshot = Snapshot {
                    name: name.to_owned(),
                    position: header.position,
                    semantics: header.semantics,
                    time_us: header.time_us,
                    bytes,
                };
                return Ok(Self {
                    path,
                    snapshot,
                    window: Window::new(file),
                    offset: SNAPSHOT_HEADER_BYTES as u64,
                    ahead: Ahead::Nothing,
                    parts: 0,
                    hash: Sha256::new_with_prefix(head),
                });
            }
            Ok(_) => "its head names another block than its file name",
            Err(bad) => bad.what(Magic::Snapshot, &path)?,
        };
        Err(damaged(&path, 0, wrong))
    }

    /// Its head.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Goes on to the next part, past what is left of this one; its name. None: all was read, and verified.
    pub fn next_part(&mut self) -> Result<Option<String>> {
        loop {
            self.look()?;
            match std::mem::replace(&mut self.ahead, Ahead::Nothing) {
                Ahead::Part(name) => return Ok(Some(name)),
                Ahead::End => {
                    self.ahead = Ahead::End;
                    return Ok(None);
                }
                Ahead::Data(..) | Ahead::Nothing => {}
            }
        }
    }

    /// The next data of this part; None at its end.
    pub fn chunk(&mut self) -> Result<Option<&[u8]>> {
        self.look()?;
        let Ahead::Data(at, length) = self.ahead else {
            return Ok(None);
        };
        self.ahead = Ahead::Nothing;
        Ok(Some(self.window.there(at, length)))
    }

    /// All that is left of this part.
    pub fn read_part(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk()? {
            bytes.extend_from_slice(chunk);
        }
        Ok(bytes)
    }

    /// Reads the next frame, if none is read ahead.
    fn look(&mut self) -> Result<()> {
        if self.ahead != Ahead::Nothing {
            return Ok(());
        }
        let at = self.offset;
        let failed = |source| Error::fatal("reading", &self.path, source);
        let head = self.window.get(at, FRAME_BYTES).map_err(failed)?;
        let length = u32_at(head, 0) as usize;
        if length == 0 || length > CHUNK_BYTES.max(PART_NAME_BYTES_MAX) + 1 {
            return Err(damaged(
                &self.path,
                at,
                "it ends before its last frame, or a frame's length is wrong",
            ));
        }
        let bytes = self.window.get(at, FRAME_BYTES + length).map_err(failed)?;
        let (payload, _) = unframe(bytes, 0).map_err(|what| damaged(&self.path, at, what))?;
        let (tag, rest) = (payload[0], &payload[1..]);
        let end = at + bytes.len() as u64;
        self.ahead = match tag {
            PART => {
                self.parts += 1;
                let name = std::str::from_utf8(rest);
                Ahead::Part(
                    name.map_err(|_| damaged(&self.path, at, "a part's name is no text"))?
                        .to_owned(),
                )
            }
            DATA if self.parts > 0 => Ahead::Data(end - rest.len() as u64, rest.len()),
            END => {
                let hash: [u8; 32] = self.hash.clone().finalize().into();
                let whole = rest.len() == 44
                    && u32_at(rest, 0) == self.parts
                    && u64_at(rest, 4) == at
                    && array_at::<32>(rest, 12) == hash
                    && self.snapshot.bytes == end;
                if !whole {
                    return Err(damaged(
                        &self.path,
                        at,
                        "its end does not agree with what comes before it",
                    ));
                }
                Ahead::End
            }
            _ => return Err(damaged(&self.path, at, "a frame has no known kind")),
        };
        self.hash.update(bytes);
        self.offset = end;
        Ok(())
    }
}

/// Reads it to its end; its head if every byte is as it was written.
pub fn verify_snapshot(disk: &dyn Disk, name: &str) -> Result<Snapshot> {
    let mut reader = SnapshotReader::open(disk, name)?;
    while reader.next_part()?.is_some() {}
    Ok(reader.snapshot)
}

/// The names of all snapshots of a folder, newest first. Not verified.
pub fn snapshot_names(disk: &dyn Disk) -> Result<Vec<String>> {
    let names = disk
        .list()
        .map_err(|source| Error::fatal("listing", &disk.folder(), source))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| snapshot_number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers.into_iter().rev().map(snapshot_name).collect())
}

/// The newest snapshot that is whole, and why each newer one is not.
pub fn newest_good(disk: &dyn Disk) -> Result<(Option<Snapshot>, Vec<Error>)> {
    let mut bad = Vec::new();
    for name in snapshot_names(disk)? {
        match verify_snapshot(disk, &name) {
            Ok(snapshot) => return Ok((Some(snapshot), bad)),
            Err(error @ Error::Damaged { .. }) => bad.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok((None, bad))
}

fn damaged(path: &str, offset: u64, what: &str) -> Error {
    Error::Damaged {
        file: path.to_owned(),
        offset,
        block: None,
        record: None,
        what: what.to_owned(),
    }
}
