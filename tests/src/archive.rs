//! Archives of the wire, tar in gzip: honest ones, and such as no honest client makes.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest as _, Md5};
use tar::{EntryType, Header};

/// An archive under construction. Names are written as they are given, whatever they say.
#[derive(Debug, Default, Clone)]
pub struct Archive {
    tar: Vec<u8>,
}

impl Archive {
    /// An archive of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a regular file.
    #[must_use]
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, "", content)
    }

    /// The same with a symbolic link.
    #[must_use]
    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, b"")
    }

    /// The same with a hard link.
    #[must_use]
    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name, target, b"")
    }

    /// The same with something that is neither file nor link.
    #[must_use]
    pub fn special(self, kind: EntryType, name: &str) -> Self {
        self.entry(kind, name, "", b"")
    }

    fn entry(mut self, kind: EntryType, name: &str, target: &str, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        // The crate would refuse or mend evil names; the raw fields take them as they are.
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.tar.extend_from_slice(header.as_bytes());
        self.tar.extend_from_slice(content);
        self.tar.resize(self.tar.len().next_multiple_of(BLOCK_BYTES), 0);
        self
    }

    /// The tar, with the two empty blocks that end it.
    #[must_use]
    pub fn tar(&self) -> Vec<u8> {
        let mut tar = self.tar.clone();
        tar.resize(tar.len() + 2 * BLOCK_BYTES, 0);
        tar
    }

    /// The tar in gzip, as it is sent.
    #[must_use]
    pub fn gzip(&self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

/// A block of a tar; contents are padded to whole ones.
const BLOCK_BYTES: usize = 512;

/// Any bytes in gzip.
///
/// # Panics
/// Never: memory takes what is written.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

/// The checksum of a transfer: MD5 in lower-case hex.
#[must_use]
pub fn checksum(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// Bytes that do not compress, the same every time.
#[must_use]
pub fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The upper bits of such a generator are its random ones.
        state.to_be_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}
