//! What the journal needs of a disk: one flat folder of files that grow at their end.
//!
//! The contract is POSIX's, at its weakest: what was appended may be lost, torn or reordered by a crash until `sync` of
//! the file returned; a file created, renamed or removed may come back or vanish until `sync_folder` returned. After a
//! `sync` that failed nothing is known about what was written before.
//!
//! ```
//! use csroute_journal::{Disk, OsDisk};
//!
//! let folder = std::env::temp_dir().join(format!("csroute-disk-{}", std::process::id()));
//! let disk = OsDisk::open(&folder)?;
//! let mut file = disk.create("greeting")?;
//! file.append(b"hello")?;
//! file.sync()?;
//! disk.sync_folder()?;
//! assert_eq!(disk.list()?, ["greeting"]);
//! std::fs::remove_dir_all(folder)?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::any::Any;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate, statvfs};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::format::PARTIAL;

/// Copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// A journal holds what customers wrote: others than its owner and group do not read it.
const FILE_MODE: u32 = 0o640;

/// A folder. Names are plain file names.
pub trait Disk: Debug + Send + Sync {
    /// Its path, for messages.
    fn folder(&self) -> String;
    /// A new, empty file. Fails where there is one of the name.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// A file that is there, to read and append.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Renames, in place of one of that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names of all files, sorted.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes creations, renames and removals durable.
    fn sync_folder(&self) -> io::Result<()>;
    /// An exclusive lock between processes, given back when the value is dropped. None: another has it.
    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
    /// Free space for this process, bytes.
    fn free_bytes(&self) -> io::Result<u64>;
    /// 16 random bytes: a new journal's name.
    fn identity(&self) -> io::Result<[u8; 16]>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Its length, bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads from there; fewer bytes than asked for, 0 at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes at the end; returns how much of it was taken.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Cuts it to this length.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
    /// Makes its content and length durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Takes so much space on the disk, of zeros.
    fn reserve(&mut self, bytes: u64) -> io::Result<()>;
    /// Forgets what the system keeps in memory of it, so that reading tells what the disk holds.
    fn forget_cache(&self) {}
}

/// Appends everything, in as many writes as it takes.
pub(crate) fn append_all(file: &mut dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.append(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until `into` is full or the file ends; returns how much.
pub(crate) fn read_full(file: &dyn DiskFile, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(offset + done as u64, &mut into[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Copies the first bytes of a file, durable under its new name and whole or not there at all.
pub(crate) fn copy_file(from: &dyn Disk, name: &str, to: &dyn Disk, as_name: &str, bytes: u64) -> io::Result<()> {
    let partial = format!("{as_name}{PARTIAL}");
    if to.list()?.contains(&partial) {
        to.remove(&partial)?; // an earlier one was interrupted
    }
    let source = from.open(name)?;
    let mut copy = to.create(&partial)?;
    let (mut chunk, mut at) = (vec![0; COPY_BYTES], 0);
    while at < bytes {
        let wanted = chunk.len().min(usize::try_from(bytes - at).unwrap_or(usize::MAX));
        let read = read_full(source.as_ref(), at, &mut chunk[..wanted])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        append_all(copy.as_mut(), &chunk[..read])?;
        at += read as u64;
    }
    copy.sync()?;
    to.rename(&partial, as_name)?;
    to.sync_folder()
}

/// A folder of the operating system.
#[derive(Debug)]
pub struct OsDisk {
    folder: PathBuf,
}

impl OsDisk {
    /// A folder, made with its parents if it is not there.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let disk = Self { folder: folder.into() };
        if !disk.folder.is_dir() {
            fs::create_dir_all(&disk.folder)?;
            // The new folder's own name must last, too.
            if let Some(parent) = disk.folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(disk)
    }

    /// A folder that must be there: for reading.
    pub fn existing(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        if !folder.is_dir() {
            let message = format!("{} is not a folder: name the node's data folder", folder.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        Ok(Self { folder })
    }

    /// Where a file of this name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Disk for OsDisk {
    fn folder(&self) -> String {
        self.folder.display().to_string()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.mode(FILE_MODE);
        let file = options.read(true).append(true).create_new(true).open(self.path(name))?;
        Ok(Box::new(OsFile { file }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path(name);
        // Who may only read a journal can still look at it.
        let file = OpenOptions::new().read(true).append(true).open(&path);
        let file = match file {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                File::open(&path)
            }
            other => other,
        }?;
        Ok(Box::new(OsFile { file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(name))?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                write!(file, "process {}", std::process::id())?;
                Ok(Some(Box::new(file)))
            }
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let figures = statvfs(&self.folder)?;
        Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
    }

    fn identity(&self) -> io::Result<[u8; 16]> {
        let mut id = [0; 16];
        let filled = getrandom(&mut id, GetRandomFlags::empty())?;
        if filled < id.len() {
            return Err(io::Error::other("the system gave too few random bytes"));
        }
        Ok(id)
    }
}

struct OsFile {
    file: File,
}

impl DiskFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(into, offset)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            // A file system without it gets zeros.
            Err(rustix::io::Errno::OPNOTSUPP) => {
                let at = self.file.seek(SeekFrom::End(0))?;
                let zeros = &mut io::repeat(0).take(bytes.saturating_sub(at));
                io::copy(zeros, &mut self.file).map(|_| ())
            }
            other => Ok(other?),
        }
    }

    fn forget_cache(&self) {
        // Advice: where it is not taken, reading is as good as before.
        let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
    }
}

/// Who holds a folder's lock, as it named itself.
pub(crate) fn holder(disk: &dyn Disk, name: &str) -> String {
    let mut text = [0; 64];
    let read = disk
        .open(name)
        .and_then(|file| read_full(file.as_ref(), 0, &mut text))
        .unwrap_or(0);
    match std::str::from_utf8(&text[..read]) {
        Ok(holder) if !holder.is_empty() => holder.to_owned(),
        _ => "another process".to_owned(),
    }
}

/// The last part of a path, for messages about a file of a folder.
pub(crate) fn in_folder(disk: &dyn Disk, name: &str) -> String {
    Path::new(&disk.folder()).join(name).display().to_string()
}
