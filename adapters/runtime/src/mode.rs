//! Permission bits of sealed files.
//!
//! A sealed file has no write bit, so that nothing changes it by accident. What is downloaded should
//! still be what was uploaded, so the write bits must be remembered: almost every file has the owner's
//! and no other, and only of the others it is noted in an extended attribute. Where the file system has
//! none, such a file comes back as one that its owner may write.

use std::fs::File;
use std::io;

use rustix::fs::{Mode, RawMode, Stat, XattrFlags};
use rustix::io::Errno;

/// The attribute that holds the write bits in octal.
const WRITE_BITS_ATTRIBUTE: &std::ffi::CStr = c"user.knitfab.write-bits";

/// Somebody may write.
pub(crate) const WRITE_BITS: Mode = Mode::WUSR.union(Mode::WGRP).union(Mode::WOTH);

/// What a file keeps of its mode.
const PERMISSIONS: Mode = Mode::from_bits_retain(0o777);

/// The mode of a sealed directory. Directories are not in archives, so theirs are not remembered.
pub(crate) const SEALED_DIRECTORY: Mode = Mode::from_bits_retain(0o555);

/// Whether these are the write bits of almost every file, which are not noted.
pub(crate) fn usual(write_bits: Mode) -> bool {
    write_bits == Mode::WUSR
}

/// The mode with which a Worker's file that has the mode `now` can be sealed.
pub(crate) fn writable(now: Mode) -> Mode {
    (now & PERMISSIONS) | Mode::WUSR
}

/// Seals an open, writable file whose mode should be `wanted`. Set-user-id and the like are dropped:
/// a file that came over the wire must not change who runs it.
pub(crate) fn seal_file(file: &File, wanted: Mode) -> io::Result<()> {
    if !usual(wanted & WRITE_BITS) {
        note_write_bits(file, wanted)?;
    }
    Ok(rustix::fs::fchmod(file, sealed(wanted))?)
}

/// Seals an open, writable file of a Worker that has the mode `now`, sealed before or not, and was left with the
/// write bits `left`.
pub(crate) fn seal_worker_file(file: &File, now: Mode, left: Mode) -> io::Result<()> {
    if usual(left) {
        forget_write_bits(file)?;
    }
    seal_file(file, now.difference(WRITE_BITS) | left)
}

/// A Worker that copies an input with all its attributes copies the note too, and that is not the copy's.
fn forget_write_bits(file: &File) -> io::Result<()> {
    if noted_write_bits(file).is_none() {
        return Ok(());
    }
    match rustix::fs::fremovexattr(file, WRITE_BITS_ATTRIBUTE) {
        Err(error) if error != Errno::NODATA => Err(error.into()),
        _ => Ok(()),
    }
}

fn note_write_bits(file: &File, wanted: Mode) -> io::Result<()> {
    let text = format!("{:o}", (wanted & WRITE_BITS).bits());
    match rustix::fs::fsetxattr(file, WRITE_BITS_ATTRIBUTE, text.as_bytes(), XattrFlags::empty()) {
        Ok(()) | Err(Errno::NOTSUP | Errno::NOSPC) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn noted_write_bits(file: &File) -> Option<Mode> {
    let mut text = [0; 4];
    let length = rustix::fs::fgetxattr(file, WRITE_BITS_ATTRIBUTE, &mut text[..]).ok()?;
    let bits = RawMode::from_str_radix(std::str::from_utf8(&text[..length]).ok()?, 8).ok()?;
    Some(Mode::from_bits_retain(bits) & WRITE_BITS)
}

/// The mode that a sealed file has: its owner may read it whatever the archive said.
fn sealed(wanted: Mode) -> Mode {
    (wanted & Mode::from_bits_retain(0o555)) | Mode::RUSR
}

/// The mode that the file had before it was sealed, for an archive; of a file that is not sealed, its mode.
pub(crate) fn before_sealing(file: &File, stat: &Stat) -> RawMode {
    let mode = Mode::from_raw_mode(stat.st_mode) & PERMISSIONS;
    if mode.intersects(WRITE_BITS) {
        return mode.bits();
    }
    let write_bits = noted_write_bits(file).unwrap_or(Mode::WUSR);
    (mode | write_bits).bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_is_read_only_and_remembers_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o644, 0o755, 0o600, 0o444, 0o664, 0o666, 0o775, 0o400] {
            let path = dir.path().join(format!("{mode:o}"));
            let file = File::create(&path).unwrap();
            seal_file(&file, Mode::from_raw_mode(mode)).unwrap();
            let stat = rustix::fs::fstat(&file).unwrap();
            assert_eq!(stat.st_mode & 0o222, 0, "{mode:o}");
            assert_eq!(before_sealing(&file, &stat), mode, "{mode:o}");
        }
    }

    #[test]
    fn a_worker_file_may_be_sealed_again_and_a_note_that_it_brought_along_is_not_its_own() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o644, 0o444, 0o755, 0o464] {
            let file = File::create(dir.path().join(format!("{mode:o}"))).unwrap();
            note_write_bits(&file, Mode::WGRP).unwrap();
            let wanted = Mode::from_raw_mode(mode);
            rustix::fs::fchmod(&file, wanted).unwrap();
            for _again in 0..2 {
                let now = Mode::from_raw_mode(rustix::fs::fstat(&file).unwrap().st_mode);
                rustix::fs::fchmod(&file, writable(now)).unwrap();
                seal_worker_file(&file, now, wanted & WRITE_BITS).unwrap();
            }
            let stat = rustix::fs::fstat(&file).unwrap();
            assert_eq!(before_sealing(&file, &stat), mode, "{mode:o}");
        }
    }
}
