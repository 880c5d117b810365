//! Checkpoints: what somebody signed of a log, to be held against it later (`schemas/checkpoint.md`).
//!
//! Here is how they are written and what they prove. Keys and signatures belong to whoever signs and verifies.

use std::fmt;

use crate::chain::Hash;
use crate::export::Verified;
use crate::instant::Instant;

/// The position whose chain value tells one log from every other.
pub const FIRST: u64 = 1;
/// Bytes of a public key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;
/// The first line of a checkpoint.
const TITLE: &str = "knitfab checkpoint 1";

/// How far a log went at some time, and all of it in one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: its chain at [`FIRST`], which hangs on the chance of the first event's salt.
    pub log: Hash,
    /// A position, from 1.
    pub position: u64,
    /// The chain there.
    pub chain: Hash,
    /// When it was signed, by the clock of whoever signed.
    pub time: Instant,
}

/// The text that is signed, character for character.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, position, chain, time } = self;
        let (log, chain) = (hex::encode(log), hex::encode(chain));
        write!(f, "{TITLE}\nlog {log}\nposition {position}\nchain {chain}\ntime {time}\n")
    }
}

/// A checkpoint with its signature, which nobody has verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// The public key of whoever is said to have signed.
    pub key: [u8; KEY_BYTES],
    /// Ed25519, of the checkpoint's text.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// As it stands in a file, one behind the other.
impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checkpoint, key, signature } = self;
        write!(f, "{checkpoint}key {}\nsignature {}\n\n", hex::encode(key), hex::encode(signature))
    }
}

/// A line is not what stands there in a file of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}")]
pub struct Malformed {
    /// Which line: 1, 2, 3 ….
    pub line: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// Every checkpoint of a file, in its order.
///
/// # Errors
/// When it holds anything else. There is one way to write a checkpoint: what is read is what was signed.
pub fn read(text: &str) -> Result<Vec<Signed>, Malformed> {
    let mut lines = Lines { rest: text, line: 0 };
    let mut all = Vec::new();
    while !lines.rest.is_empty() {
        all.push(lines.signed()?);
    }
    Ok(all)
}

struct Lines<'t> {
    rest: &'t str,
    /// How many were taken.
    line: usize,
}

impl<'t> Lines<'t> {
    fn signed(&mut self) -> Result<Signed, Malformed> {
        self.take("`knitfab checkpoint 1`", |line| (line == TITLE).then_some(()))?;
        let log = self.take("`log` and 64 digits 0-9a-f", |line| bytes(line, "log "))?;
        let position = self.take("`position` and a number from 1", position)?;
        let chain = self.take("`chain` and 64 digits 0-9a-f", |line| bytes(line, "chain "))?;
        let time = self.take("`time` and a time such as 2025-03-03T09:15:02+00:00", time)?;
        let key = self.take("`key` and 64 digits 0-9a-f", |line| bytes(line, "key "))?;
        let signature = self.take("`signature` and 128 digits 0-9a-f", |line| bytes(line, "signature "))?;
        self.take("an empty line", |line| line.is_empty().then_some(()))?;
        Ok(Signed { checkpoint: Checkpoint { log, position, chain, time }, key, signature })
    }

    /// What `read` makes of the next line, which must have an end.
    fn take<T>(&mut self, expected: &'static str, read: impl Fn(&'t str) -> Option<T>) -> Result<T, Malformed> {
        self.line += 1;
        let malformed = Malformed { line: self.line, expected };
        let (line, rest) = self.rest.split_once('\n').ok_or_else(|| malformed.clone())?;
        self.rest = rest;
        read(line).ok_or(malformed)
    }
}

fn bytes<const N: usize>(line: &str, name: &str) -> Option<[u8; N]> {
    let text = line.strip_prefix(name)?;
    let bytes: [u8; N] = hex::decode(text).ok()?.try_into().ok()?;
    (hex::encode(bytes) == text).then_some(bytes)
}

fn position(line: &str) -> Option<u64> {
    let text = line.strip_prefix("position ")?;
    text.parse().ok().filter(|position: &u64| *position > 0 && position.to_string() == text)
}

fn time(line: &str) -> Option<Instant> {
    let text = line.strip_prefix("time ")?;
    Instant::parse(text).ok().filter(|time| time.to_string() == text)
}

/// A history that is not the one that was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("position {position}: {differs}")]
pub struct Mismatch {
    /// Where that shows.
    pub position: u64,
    /// How.
    pub differs: Differs,
}

/// How a history differs from what was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Differs {
    /// Nothing of it is the same.
    #[error(
        "the first event is not the one of the log that was signed: this is another log, or all of it was rewritten"
    )]
    OtherLog,
    /// The hashes fit together, but lead elsewhere.
    #[error(
        "the chain is not the one that was signed at {signed_at}: {}", rewritten(*whole_up_to)
    )]
    Rewritten {
        /// The last position before it of which the signed chain is there.
        whole_up_to: u64,
        /// When the checkpoint was made.
        signed_at: Instant,
    },
    /// There is less than there was.
    #[error(
        "it is missing, but position {signed} was there and signed at {signed_at}: the end of the log was taken away"
    )]
    Shortened {
        /// The position of the checkpoint.
        signed: u64,
        /// When the checkpoint was made.
        signed_at: Instant,
    },
}

fn rewritten(whole_up_to: u64) -> String {
    match whole_up_to {
        0 => "something up to there was rewritten, and no earlier checkpoint says from where on".to_owned(),
        position => format!("something behind position {position} was rewritten"),
    }
}

/// What checkpoints prove of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Checkpoints that lie in it.
    pub count: u64,
    /// The one that goes farthest: nothing up to it is other than it was when it was signed. None if there is none.
    pub last: Option<Checkpoint>,
    /// Checkpoints that lie before its beginning, which prove nothing of it.
    pub before: u64,
}

/// Holds `checkpoints` against a history that was verified while their positions, and [`FIRST`], were watched.
///
/// # Errors
/// The first position that is not as it was signed.
pub fn hold<'c>(checkpoints: impl IntoIterator<Item = &'c Checkpoint>, verified: &Verified) -> Result<Held, Mismatch> {
    let mut checkpoints: Vec<&Checkpoint> = checkpoints.into_iter().collect();
    checkpoints.sort_by_key(|checkpoint| checkpoint.position);
    let mut held = Held { count: 0, last: None, before: 0 };
    let first = verified.chains.get(&FIRST);
    for checkpoint in checkpoints {
        if checkpoint.position < verified.after {
            held.before += 1;
            continue;
        }
        if first.is_some_and(|first| *first != checkpoint.log) {
            return Err(Mismatch { position: FIRST, differs: Differs::OtherLog });
        }
        let &Checkpoint { position: signed, time: signed_at, .. } = checkpoint;
        if signed > verified.position {
            let differs = Differs::Shortened { signed, signed_at };
            return Err(Mismatch { position: verified.position + 1, differs });
        }
        if verified.chains.get(&signed) != Some(&checkpoint.chain) {
            let whole_up_to = held.last.map_or(verified.after, |last| last.position);
            return Err(Mismatch { position: signed, differs: Differs::Rewritten { whole_up_to, signed_at } });
        }
        (held.count, held.last) = (held.count + 1, Some(*checkpoint));
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::chain::GENESIS;

    const NOW: i64 = 1_741_000_000_000;

    /// A checkpoint of a log whose chain at a position is that number over and over.
    fn checkpoint(position: u8) -> Checkpoint {
        let time = Instant::from_unix_ms(NOW + i64::from(position) * 1_000).unwrap();
        Checkpoint { log: [1; 32], position: position.into(), chain: [position; 32], time }
    }

    fn signed(position: u8) -> Signed {
        Signed { checkpoint: checkpoint(position), key: [0xab; 32], signature: [0xcd; 64] }
    }

    fn verified(after: u64, position: u64) -> Verified {
        let chains: BTreeMap<u64, Hash> =
            (after.max(1)..=position).map(|at| (at, [u8::try_from(at).unwrap(); 32])).collect();
        Verified { events: position - after, after, position, chain: GENESIS, redacted: 0, without_envelope: 0, chains }
    }

    #[test]
    fn a_checkpoint_is_a_few_lines_for_people_and_programs() {
        let lines: Vec<String> = signed(17).to_string().lines().map(str::to_owned).collect();
        let (log, chain) = ("01".repeat(32), "11".repeat(32));
        assert_eq!(lines[..3], ["knitfab checkpoint 1".to_owned(), format!("log {log}"), "position 17".to_owned()]);
        assert_eq!(lines[3..5], [format!("chain {chain}"), "time 2025-03-03T11:06:57+00:00".to_owned()]);
        assert_eq!(
            lines[5..],
            [format!("key {}", "ab".repeat(32)), format!("signature {}", "cd".repeat(64)), String::new()]
        );
        assert!(signed(17).to_string().starts_with(&checkpoint(17).to_string()), "what is signed comes first");
    }

    #[test]
    fn what_was_written_is_read_again_however_much_there_is() {
        for all in [vec![], vec![signed(3)], vec![signed(5), signed(3), signed(5)]] {
            let text: String = all.iter().map(ToString::to_string).collect();
            assert_eq!(read(&text), Ok(all));
        }
    }

    #[test]
    fn whatever_is_written_otherwise_is_refused_with_its_line() {
        let text = signed(3).to_string() + &signed(5).to_string();
        let cases: [(&str, &str, usize); 9] = [
            ("checkpoint 1\nlog", "checkpoint 2\nlog", 1),
            ("log 01", "log 1", 2),
            ("position 3", "position 0", 3),
            ("position 3", "position 03", 3),
            ("chain 0", "chain A", 4),
            ("+00:00", "Z", 5),
            ("key ab", "key AB", 6),
            ("\nsignature", "\n\nsignature", 7),
            ("cd\n\n", "cd\n", 8),
        ];
        for (from, to, line) in cases {
            let malformed = read(&text.replacen(from, to, 1)).expect_err(to);
            assert_eq!(malformed.line, line, "{to:?}: {malformed}");
        }
        let cut = text.len() - 1;
        assert_eq!(read(&text[..cut]).map_err(|malformed| malformed.line), Err(16));
    }

    #[test]
    fn a_history_that_goes_on_from_what_was_signed_is_held() {
        let [three, five] = [checkpoint(3), checkpoint(5)];
        assert_eq!(hold([&five, &three], &verified(0, 9)), Ok(Held { count: 2, last: Some(five), before: 0 }));
        assert_eq!(hold([&three, &five], &verified(0, 5)), Ok(Held { count: 2, last: Some(five), before: 0 }));
        assert_eq!(hold([&three, &five], &verified(4, 9)), Ok(Held { count: 1, last: Some(five), before: 1 }));
        assert_eq!(hold([&three, &five], &verified(5, 9)), Ok(Held { count: 1, last: Some(five), before: 1 }));
        assert_eq!(hold([&three], &verified(5, 9)), Ok(Held { count: 0, last: None, before: 1 }));
    }

    #[test]
    fn a_rewritten_a_shortened_and_another_history_name_where_that_shows() {
        let [three, five] = [checkpoint(3), checkpoint(5)];
        let mut rewritten = verified(0, 9);
        rewritten.chains.insert(5, [99; 32]);
        let differs = Differs::Rewritten { whole_up_to: 3, signed_at: five.time };
        assert_eq!(hold([&three, &five], &rewritten), Err(Mismatch { position: 5, differs }));
        let differs = Differs::Rewritten { whole_up_to: 0, signed_at: five.time };
        assert_eq!(hold([&five], &rewritten), Err(Mismatch { position: 5, differs }));

        let differs = Differs::Shortened { signed: 5, signed_at: five.time };
        assert_eq!(hold([&three, &five], &verified(0, 4)), Err(Mismatch { position: 5, differs }));

        let other = Checkpoint { log: [2; 32], ..three };
        assert_eq!(hold([&other], &verified(0, 9)), Err(Mismatch { position: 1, differs: Differs::OtherLog }));
    }
}
