//! Directories to push: the same every time, and neither all noise nor all words.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Size of one of the large files.
const FILE_BYTES: u64 = 16 << 20;
/// Bytes of one kind in a row.
const BLOCK_BYTES: usize = 64 * 1024;
/// Small files in one folder.
const FILES_PER_FOLDER: u32 = 100;
/// Sizes of small files go up to this.
const SMALL_BYTES_MAX: usize = 4_000;
const WORDS: [&str; 16] = [
    "data",
    "plan",
    "run",
    "tag",
    "worker",
    "lineage",
    "event",
    "stream",
    "position",
    "projection",
    "snapshot",
    "checkpoint",
    "correlation",
    "causation",
    "upload",
    "download",
];

/// Numbers that look random and are the same every time (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn noise(&mut self, bytes: usize) -> Vec<u8> {
        let mut noise: Vec<u8> = (0..bytes.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        noise.truncate(bytes);
        noise
    }

    fn words(&mut self, bytes: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes + 32);
        while text.len() < bytes {
            let chance = self.next();
            let word = WORDS[usize::from(chance.to_le_bytes()[0]) % WORDS.len()];
            // Numbers among the words keep the text from being the same few lines again and again.
            text.extend_from_slice(format!("{word} {:x}\n", chance >> 44).as_bytes());
        }
        text.truncate(bytes);
        text
    }
}

/// Fills a directory with large files of `bytes` in all, half noise and half words.
///
/// # Errors
/// When something cannot be written.
pub(super) fn large_files(directory: &Path, bytes: u64) -> io::Result<()> {
    let mut chance = Chance(1);
    let mut left = bytes;
    let mut number = 0;
    while left > 0 {
        let size = left.min(FILE_BYTES);
        let mut file = BufWriter::new(File::create(directory.join(format!("part-{number:04}")))?);
        let mut written = 0;
        while written < size {
            let block = usize::try_from(size - written).unwrap_or(usize::MAX).min(BLOCK_BYTES);
            file.write_all(&if chance.next().is_multiple_of(2) { chance.noise(block) } else { chance.words(block) })?;
            written += block as u64;
        }
        file.flush()?;
        left -= size;
        number += 1;
    }
    Ok(())
}

/// Fills a directory with `count` small files in folders.
///
/// # Errors
/// When something cannot be written.
pub(super) fn small_files(directory: &Path, count: u32) -> io::Result<()> {
    let mut chance = Chance(2);
    for number in 0..count {
        let folder = directory.join(format!("folder-{:03}", number / FILES_PER_FOLDER));
        if number.is_multiple_of(FILES_PER_FOLDER) {
            fs::create_dir(&folder)?;
        }
        let bytes = usize::from(u16::from_le_bytes([chance.next().to_le_bytes()[0], chance.next().to_le_bytes()[0]]));
        fs::write(folder.join(format!("file-{number:05}.txt")), chance.words(1 + bytes % SMALL_BYTES_MAX))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_in(directory: &Path) -> u64 {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| if entry.path().is_dir() { bytes_in(&entry.path()) } else { entry.metadata().unwrap().len() })
            .sum()
    }

    #[test]
    fn large_files_have_the_size_that_is_asked_for_and_half_of_it_does_not_compress() {
        let directory = tempfile::tempdir().unwrap();
        large_files(directory.path(), FILE_BYTES + 100).unwrap();
        assert_eq!(bytes_in(directory.path()), FILE_BYTES + 100);
        let content = fs::read(directory.path().join("part-0000")).unwrap();
        let share = knit_tests::archive::gzip(&content[..1 << 20]).len() as f64 / f64::from(1 << 20);
        assert!((0.4..0.95).contains(&share), "compresses to {share}");
    }

    #[test]
    fn small_files_are_as_many_as_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        small_files(directory.path(), 250).unwrap();
        let folders = fs::read_dir(directory.path()).unwrap().map(|folder| folder.unwrap().path());
        let files: usize = folders.map(|folder| fs::read_dir(folder).unwrap().count()).sum();
        assert_eq!(files, 250);
    }
}
