//! Making an archive of a directory.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use md5::{Digest, Md5};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use tar::{EntryType, Header};
use tokio::sync::mpsc;

use super::header::BLOCK_BYTES;
use crate::mode;
use crate::port::{ArchivePart, ArchiveStream, Fault};
use crate::tree::{At, Step, walk};

/// Compressed bytes in one part of the stream: a part costs a wake-up, so it should not be small.
const PART_BYTES: usize = 256 * 1024;

/// Parts between the packing thread and the network: 2 MiB at most wait for a slow reader.
const PARTS_MAX: usize = 8;

/// Bytes read from a file at once.
const READ_BYTES: usize = 256 * 1024;

/// Level 1: on a fast network the compressor is the bottleneck, and higher levels are several times slower.
const COMPRESSION: u32 = 1;

/// A name or target up to here fits into an ordinary header.
const HEADER_NAME_BYTES_MAX: usize = 100;

/// Packs the tree at `root`: regular files and symbolic links, and nothing else, since the original's
/// client takes a directory entry for a file. `unchanged` is asked at the end whether the tree is still
/// what it was: an archive of a tree that was taken away meanwhile would look complete.
pub fn pack_stream(root: OwnedFd, unchanged: impl FnOnce() -> Result<(), Fault> + Send + 'static) -> ArchiveStream {
    let (parts, packed) = mpsc::channel(PARTS_MAX);
    let outcome_to = parts.clone();
    tokio::task::spawn_blocking(move || {
        let outcome = pack(root, parts).and_then(|()| unchanged());
        // The reader may be gone; then nobody waits for the outcome.
        let _ = outcome_to.blocking_send(outcome.map(|()| None));
    });
    Box::pin(stream::unfold(Some((packed, Md5::new())), next_part))
}

/// `Some(bytes)` are bytes, `None` is the proper end; a channel closed without it is a broken one.
type Packed = Result<Option<Bytes>, Fault>;

/// What is left of a stream, and the checksum of what was given.
type Rest = Option<(mpsc::Receiver<Packed>, Md5)>;

/// The checksum is computed on the reader's side, beside the compression.
async fn next_part(rest: Rest) -> Option<(Result<ArchivePart, Fault>, Rest)> {
    let (mut packed, mut md5) = rest?;
    match packed.recv().await {
        Some(Ok(Some(bytes))) => {
            md5.update(&bytes);
            Some((Ok(ArchivePart::Bytes(bytes)), Some((packed, md5))))
        }
        Some(Ok(None)) => Some((Ok(ArchivePart::End { md5: hex::encode(md5.finalize()) }), None)),
        Some(Err(fault)) => Some((Err(fault), None)),
        None => Some((Err(Fault::new("pack the archive", "the packing thread died")), None)),
    }
}

fn pack(root: OwnedFd, parts: mpsc::Sender<Packed>) -> Result<(), Fault> {
    let broken = |e: io::Error| Fault::new("pack the archive", e);
    let mut packer = Packer {
        out: GzEncoder::new(PartWriter { parts, part: Vec::with_capacity(PART_BYTES) }, Compression::new(COMPRESSION)),
        buffer: vec![0; READ_BYTES],
    };
    walk(root, |step| match step {
        Step::Leaf(at, FileType::RegularFile) => packer.file(&at),
        Step::Leaf(at, FileType::Symlink) => packer.symlink(&at),
        // Sockets and FIFOs that a Worker left behind are nothing that can be sent.
        Step::Leaf(..) | Step::Directory(_) | Step::Left(_) => Ok(()),
    })?;
    packer.out.write_all(&[0; 2 * BLOCK_BYTES]).map_err(broken)?;
    let mut writer = packer.out.finish().map_err(broken)?;
    writer.flush().map_err(broken)
}

struct Packer {
    out: GzEncoder<PartWriter>,
    buffer: Vec<u8>,
}

impl Packer {
    fn file(&mut self, at: &At<'_>) -> Result<(), Fault> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(at.parent, at.name, flags, Mode::empty()).map_err(|e| at.fault("open", e))?;
        let stat = rustix::fs::fstat(&file).map_err(|e| at.fault("look at", e))?;
        let file = File::from(file);
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let mut header = header_of(EntryType::Regular, &stat, mode::before_sealing(&file, &stat));
        header.set_size(size);
        let packed = self.entry(header, at.path, None).and_then(|()| self.content(file, size));
        packed.map_err(|e| Fault::new(format!("pack `/{}` of a volume", super::EntryName::of(at.path)), e))
    }

    fn symlink(&mut self, at: &At<'_>) -> Result<(), Fault> {
        let target = rustix::fs::readlinkat(at.parent, at.name, Vec::new()).map_err(|e| at.fault("read", e))?;
        let mut header = header_of(EntryType::Symlink, &at.stat()?, 0o777);
        header.set_size(0);
        let packed = self.entry(header, at.path, Some(target.to_bytes()));
        packed.map_err(|e| Fault::new("pack the archive", e))
    }

    /// Writes a header, and before it what does not fit into one.
    fn entry(&mut self, mut header: Header, path: &[u8], target: Option<&[u8]>) -> io::Result<()> {
        if let Some(target) = target {
            self.long(EntryType::GNULongLink, target)?;
            put(&mut gnu(&mut header).linkname, target);
        }
        self.long(EntryType::GNULongName, path)?;
        put(&mut gnu(&mut header).name, path);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    /// GNU's extension for names over 100 bytes, which keeps every byte as it is.
    fn long(&mut self, kind: EntryType, name: &[u8]) -> io::Result<()> {
        if name.len() <= HEADER_NAME_BYTES_MAX {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        put(&mut gnu(&mut header).name, b"././@LongLink");
        header.set_entry_type(kind);
        header.set_size(name.len() as u64 + 1);
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(name)?;
        self.out.write_all(&[0])?;
        self.pad(name.len() as u64 + 1)
    }

    /// Exactly as many bytes as the header says: a file that grows is cut, one that shrinks is an error.
    fn content(&mut self, file: File, size: u64) -> io::Result<()> {
        let mut content = file.take(size);
        let mut left = size;
        while left > 0 {
            let count = content.read(&mut self.buffer)?;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
            }
            self.out.write_all(&self.buffer[..count])?;
            left -= count as u64;
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = size.next_multiple_of(BLOCK_BYTES as u64) - size;
        self.out.write_all(&[0; BLOCK_BYTES][..usize::try_from(padding).expect("below a block")])
    }
}

fn header_of(kind: EntryType, stat: &Stat, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    // A time before 1970 does not fit into the plain header.
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or_default());
    header
}

fn gnu(header: &mut Header) -> &mut tar::GnuHeader {
    header.as_gnu_mut().expect("it was made as one")
}

fn put(field: &mut [u8], text: &[u8]) {
    let count = text.len().min(field.len());
    field[..count].copy_from_slice(&text[..count]);
}

/// Collects compressed bytes into parts of a useful size.
struct PartWriter {
    parts: mpsc::Sender<Packed>,
    part: Vec<u8>,
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART_BYTES));
        self.parts.blocking_send(Ok(Some(part.into()))).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
