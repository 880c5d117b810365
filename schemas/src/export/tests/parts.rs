//! Histories in several files, compressed or not.

use std::io::{self, Read, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// The events of `log` behind `after` and up to `until`, as an export of their own.
fn part(log: &[Event], format: Format, after: usize, until: usize) -> Vec<u8> {
    let chain_at = |position: usize| if position == 0 { GENESIS } else { log[position - 1].chain };
    let begin = Record::Begin(Begin::behind(after as u64, chain_at(after)));
    let end = Record::End(End { position: until as u64, chain: chain_at(until) });
    let events = log[after..until].iter().cloned().map(Record::Event);
    written(format, &std::iter::once(begin).chain(events).chain([end]).collect::<Vec<_>>())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What the files, which are called 1, 2 and so on, tell together; read in pieces of any size.
fn told(files: &[Vec<u8>], piece_bytes: usize) -> (Vec<u8>, Option<Broken>) {
    let part = |(number, bytes): (usize, &Vec<u8>)| Part {
        name: (number + 1).to_string(),
        input: Ok(io::Cursor::new(bytes.clone())),
    };
    let mut parts = Parts::new(files.iter().enumerate().map(part));
    let (mut told, mut piece) = (Vec::new(), vec![0; piece_bytes]);
    loop {
        match parts.read(&mut piece) {
            Ok(0) => return (told, None),
            Ok(bytes) => told.extend_from_slice(&piece[..bytes]),
            Err(error) => return (told, Some(Broken::of(&error).expect("nothing else can go wrong").clone())),
        }
    }
}

fn verified_from(files: &[Vec<u8>]) -> Result<Verified, Flaw> {
    let (told, broken) = told(files, 1 << 16);
    let verified = verified(&told, 1 << 16);
    broken.map_or(verified.clone(), |broken| Err(flaw_of_parts(verified, &broken)))
}

/// The position that is named, and what is wrong there.
fn wrong_with(files: &[Vec<u8>]) -> (u64, Wrong) {
    let flaw = verified_from(files).expect_err("something is wrong");
    (flaw.position, flaw.wrong)
}

#[test]
fn parts_in_order_are_the_export_of_the_whole() {
    let log = log(9);
    for format in FORMATS {
        let whole = part(&log, format, 0, 9);
        let cut: [&[(usize, usize)]; 4] =
            [&[(0, 9)], &[(0, 4), (4, 9)], &[(0, 1), (1, 2), (2, 9)], &[(0, 3), (3, 3), (3, 9)]];
        for cuts in cut {
            let plain: Vec<_> = cuts.iter().map(|(after, until)| part(&log, format, *after, *until)).collect();
            let compressed: Vec<_> = plain.iter().map(|bytes| gzip(bytes)).collect();
            for (files, piece_bytes) in [(&plain, 1 << 16), (&compressed, 1 << 16), (&compressed, 7)] {
                let (told, broken) = told(files, piece_bytes);
                assert_eq!((broken, told == whole), (None, true), "{cuts:?}");
            }
        }
    }
}

#[test]
fn parts_in_different_notations_are_told_in_that_of_the_first() {
    let log = log(9);
    for (first, second) in [(Format::Protobuf, Format::JsonLines), (Format::JsonLines, Format::Protobuf)] {
        let files = [gzip(&part(&log, first, 0, 4)), part(&log, second, 4, 9)];
        assert_eq!(told(&files, 1 << 16), (part(&log, first, 0, 9), None));
    }
}

#[test]
fn gaps_overlaps_and_parts_of_other_logs_are_named() {
    let log = log(9);
    let other = records(&[event(&[], "{}")]);
    for format in FORMATS {
        let part = |after, until| part(&log, format, after, until);
        let (name, before) = ("2".to_owned(), "1".to_owned());
        let gap = Broken::Gap { from: 4, to: 5, name: name.clone(), before: before.clone() };
        assert_eq!(wrong_with(&[part(0, 3), part(5, 9)]), (4, Wrong::Broken(gap)));
        let overlap = Broken::Overlap { from: 3, to: 5, name: name.clone(), before: before.clone() };
        assert_eq!(wrong_with(&[part(0, 5), part(2, 9)]), (3, Wrong::Broken(overlap)));
        let another = Broken::OtherHistory { position: 1, name: name.clone(), before };
        assert_eq!(wrong_with(&[written(format, &other), part(1, 9)]), (2, Wrong::Broken(another)));
        for no_export in [Vec::new(), b"hello\n".to_vec(), part(3, 9)[60..].to_vec()] {
            let (position, wrong) = wrong_with(&[part(0, 3), no_export]);
            assert_eq!(position, 4);
            assert!(matches!(wrong, Wrong::Broken(Broken::NoBegin { .. } | Broken::Damaged { .. })), "{wrong}");
        }
    }
}

#[test]
fn what_is_wrong_before_a_gap_comes_first() {
    let mut log = log(9);
    log[1].payload = "{}".to_owned();
    let files = [part(&log, Format::Protobuf, 0, 3), part(&log, Format::Protobuf, 5, 9)];
    assert_eq!(wrong_with(&files), (2, Wrong::Content));
}

#[test]
fn a_part_that_is_cut_off_cuts_off_the_whole() {
    let log = log(9);
    for format in FORMATS {
        let (first, second) = (part(&log, format, 0, 4), part(&log, format, 4, 9));
        for cut in 0..first.len() {
            let (position, wrong) = wrong_with(&[first[..cut].to_vec(), second.clone()]);
            assert!(position <= 5 && matches!(wrong, Wrong::CutOff | Wrong::NoBegin), "cut at {cut}: {wrong}");
            let (position, wrong) = wrong_with(&[second[..cut].to_vec()]);
            assert!(position <= 9 && matches!(wrong, Wrong::CutOff | Wrong::NoBegin), "cut at {cut}: {wrong}");
        }
    }
}

#[test]
fn every_cut_and_flipped_bit_of_a_compressed_part_is_found_near_where_it_is() {
    let log = log(9);
    let (first, last) = (gzip(&part(&log, Format::Protobuf, 0, 3)), gzip(&part(&log, Format::Protobuf, 6, 9)));
    let middle = gzip(&part(&log, Format::Protobuf, 3, 6));
    for cut in 0..middle.len() {
        let (position, _) = wrong_with(&[first.clone(), middle[..cut].to_vec(), last.clone()]);
        assert!((4..=7).contains(&position), "cut off at byte {cut}: position {position}");
    }
    for bit in 0..middle.len() * 8 {
        let mut flipped = middle.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let files = [first.clone(), flipped, last.clone()];
        match verified_from(&files) {
            // Where the begin record says another position, the file is named that says it.
            Err(Flaw { wrong: Wrong::Broken(Broken::Gap { name, .. } | Broken::Overlap { name, .. }), .. }) => {
                assert_eq!(name, "2", "bit {bit}");
            }
            Err(flaw) => assert!((4..=7).contains(&flaw.position), "bit {bit}: {flaw}"),
            // Some bits of a compressed stream mean nothing, as those that fill up its last byte.
            Ok(_) => assert_eq!(told(&files, 1 << 16).0, part(&log, Format::Protobuf, 0, 9), "bit {bit}"),
        }
    }
}

#[test]
fn the_beginning_of_a_part_is_read_alone() {
    let log = log(9);
    for format in FORMATS {
        let bytes = part(&log, format, 4, 9);
        let begin = Begin::behind(4, log[3].chain);
        assert_eq!(beginning(&bytes[..]).unwrap(), Some(begin.clone()));
        assert_eq!(beginning(&gzip(&bytes)[..]).unwrap(), Some(begin));
        assert_eq!(beginning(&bytes[40..]).unwrap(), None);
    }
    assert_eq!(beginning(&b""[..]).unwrap(), None);
    assert_eq!(beginning(&b"\x1f\x8bno gzip"[..]).unwrap(), None);
}

#[test]
fn names_of_segments_say_which_positions_they_hold() {
    let segment = Segment { first: 1, last: SEGMENT_EVENTS };
    assert_eq!(segment.to_string(), "events-000000000001-000000065536.pb.gz");
    assert_eq!(segment.to_string().parse(), Ok(segment));
    for other in
        ["events-1-65536.pb.gz", "events-000000000000-000000000002.pb.gz", "events-000000000003-000000000002.pb.gz"]
    {
        assert!(other.parse::<Segment>().is_err(), "{other}");
    }
    assert!(
        [".events-000000000001-000000065536.pb.gz.part", "notes", ""].iter().all(|n| n.parse::<Segment>().is_err())
    );
}

#[test]
fn damage_in_what_is_compressed_is_named_behind_the_last_whole_event() {
    let log = log(300);
    for format in FORMATS {
        for after in [0, 100] {
            let plain = part(&log, format, after, 300);
            let whole = gzip(&plain);
            // A block of stored bytes would be longer than there are, or of a kind that there is not.
            for at in [whole.len() / 3, whole.len() / 2, whole.len() * 9 / 10] {
                let (before, rest) = whole.split_at(at);
                let damaged = [before, &vec![0xff; rest.len()][..]].concat();
                let (told, broken) = told(std::slice::from_ref(&damaged), 1 << 16);
                let shared = told.iter().zip(&plain).take_while(|(one, other)| one == other).count();
                let first_bad = last_whole(&plain[..shared]).max(after as u64) + 1;
                assert!(broken.is_some() && shared > 0, "{at}");
                assert_eq!(verified_from(&[damaged]).unwrap_err().position, first_bad, "{format:?} {after} {at}");
            }
            let cut = whole[..whole.len() / 2].to_vec();
            let (told, _) = self::told(std::slice::from_ref(&cut), 1 << 16);
            assert_eq!(verified_from(&[cut]).unwrap_err().position, last_whole(&told) + 1);
        }
    }
}

/// The position of the last whole event.
fn last_whole(bytes: &[u8]) -> u64 {
    let mut splitter = Splitter::default();
    let _ = splitter.push(bytes);
    if let Some(Record::Event(event)) = splitter.last() { event.position } else { 0 }
}

#[test]
fn a_file_with_the_name_of_another_segment_is_not_in_order() {
    let log = log(9);
    let named = |parts: &[(&str, usize, usize)]| {
        let part = |(name, after, until): &(&str, usize, usize)| Part {
            name: format!("archive/events-{name}.pb.gz"),
            input: Ok(io::Cursor::new(gzip(&part(&log, Format::Protobuf, *after, *until)))),
        };
        let (mut told, mut parts) = (Vec::new(), Parts::new(parts.iter().map(part)));
        let read = parts.read_to_end(&mut told);
        let verified = verified(&told, 1 << 16);
        read.map_or_else(
            |error| Err(flaw_of_parts(verified.clone(), Broken::of(&error).unwrap())),
            |_| verified.clone(),
        )
    };
    let (first, second) = ("000000000001-000000000004", "000000000005-000000000009");
    assert_eq!(named(&[(first, 0, 4), (second, 4, 9)]).unwrap().position, 9);
    assert_eq!(named(&[(second, 4, 9)]).unwrap().after, 4);
    for (parts, position) in [
        (&[(second, 0, 4), (first, 4, 9)][..], 1),
        (&[(first, 4, 9)], 1),
        (&[(first, 0, 4), (second, 4, 7)], 8),
        (&[(first, 0, 5)], 5),
        (&[(first, 0, 5), (second, 5, 9)], 5),
    ] {
        let flaw = named(parts).unwrap_err();
        assert!(matches!(flaw.wrong, Wrong::Broken(Broken::OtherName { .. })), "{flaw}");
        assert_eq!(flaw.position, position, "{flaw}");
    }
}
