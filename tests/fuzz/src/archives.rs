//! Archives: what is uploaded, unpacked by the server, and what is pulled, unpacked by the command line.
//!
//! The first byte chooses how the others become an archive: as they are, as a tar that is packed, or as a tar
//! whose checksums are mended and which is then packed, so that changed headers still are headers.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt as _;
use knit_runtime::archive::{self, Limits};
use knit_runtime::port::{ArchivePart, ReceiveError};

use crate::trees::{Kind, Place, Thing};
use crate::world;

/// Far more than inputs of this size say honestly, and soon met by those that lie.
const LIMITS: Limits = Limits { unpacked_bytes_max: 1 << 20, entries_max: 200, name_bytes_max: 4_000 };
/// The unit of tar.
const BLOCK_BYTES: usize = 512;

/// An upload: nothing is written outside, nothing dangerous inside, and what was taken comes out again.
pub(crate) fn uploads(bytes: &[u8]) {
    let Some(archive) = archive_of(bytes) else { return };
    let place = Place::new();
    let unpacked = archive::unpack_gzip(&archive[..], open(&place.inside), &LIMITS);
    place.nothing_outside();
    let things = place.things();
    check_bounds(&place, &things);
    match unpacked {
        Ok((entries, content_bytes)) => {
            assert!(entries <= LIMITS.entries_max && content_bytes <= LIMITS.unpacked_bytes_max);
            check_coming_back(&place, &things);
        }
        Err(ReceiveError::Refused(refused)) => assert!(!refused.to_string().is_empty()),
        Err(other) => panic!("an archive is taken or refused, not: {other:?}"),
    }
}

/// A pull, into a directory in which something lies already.
pub(crate) fn pulls(bytes: &[u8]) {
    let Some(archive) = archive_of(bytes) else { return };
    let place = Place::new();
    place.put_in_the_way("data");
    let pulled = knit::doors::pull(&archive, &place.inside, "data");
    place.nothing_outside();
    let top: Vec<String> = place.names_at_the_top();
    assert_eq!(top, ["data"], "no unfinished download stays behind");
    if let Err(why) = pulled {
        assert!(!why.is_empty());
    }
    for thing in place.things() {
        assert_ne!(thing.kind, Kind::Other, "{thing:?} is neither file, link nor directory");
        assert_eq!(thing.mode & 0o7000, 0, "{thing:?} has no special bits");
    }
}

fn archive_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let (choice, rest) = bytes.split_first()?;
    match choice % 3 {
        0 => Some(rest.to_vec()),
        1 => Some(gzip(rest)),
        _ => {
            let mut tar = rest.to_vec();
            mend_checksums(&mut tar);
            Some(gzip(&tar))
        }
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Gives every header the checksum it should have; a size says where the next header is.
fn mend_checksums(tar: &mut [u8]) {
    let mut at = 0;
    while let Some(block) = tar.get_mut(at..at + BLOCK_BYTES) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let digits = String::from_utf8_lossy(&block[124..136]).into_owned();
        let size = usize::from_str_radix(digits.trim_matches([' ', '\0']), 8).unwrap_or(0);
        at = at.saturating_add(BLOCK_BYTES).saturating_add(size.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES));
        if at >= tar.len() {
            return;
        }
    }
}

fn open(directory: &Path) -> OwnedFd {
    std::fs::File::open(directory).unwrap().into()
}

fn check_bounds(place: &Place, things: &[Thing]) {
    assert!(things.len() as u64 <= LIMITS.entries_max, "{} things are too many", things.len());
    for thing in things {
        match &thing.kind {
            Kind::File(_) => assert_eq!(thing.mode & 0o7000, 0, "{thing:?} has no special bits"),
            Kind::Directory => {}
            Kind::Link(target) => place.assert_stays_inside(&thing.path, target),
            Kind::Other => panic!("{thing:?} is neither file, link nor directory"),
        }
    }
    let content: usize = things.iter().map(Thing::content_bytes).sum();
    assert!(content as u64 <= LIMITS.unpacked_bytes_max, "{content} bytes are too many");
}

/// Packed and unpacked again, it is the same, but for directories, which are not packed.
fn check_coming_back(place: &Place, things: &[Thing]) {
    let packed = world::block_on(async {
        let mut parts = archive::pack_stream(open(&place.inside), || Ok(()));
        let mut packed = Vec::new();
        while let Some(part) = parts.next().await {
            if let ArchivePart::Bytes(bytes) = part.unwrap() {
                packed.extend_from_slice(&bytes);
            }
        }
        packed
    });
    let back = Place::new();
    // Long names cost more on their way out, in headers of their own.
    let limits = Limits { unpacked_bytes_max: LIMITS.unpacked_bytes_max * 4, ..LIMITS };
    let outcome = archive::unpack_gzip(&packed[..], open(&back.inside), &limits);
    outcome.unwrap_or_else(|error| panic!("what was packed here is not taken: {error}"));
    let files = |things: &[Thing]| -> Vec<Thing> {
        things.iter().filter(|thing| thing.kind != Kind::Directory).cloned().collect()
    };
    assert_eq!(files(&back.things()), files(things), "what was taken comes out again");
}
