//! Keys and signatures of checkpoints: Ed25519, with keys in files as OpenSSL writes and reads them.

mod checkpoint_file;
mod key_file;
mod signature;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use knit_schemas::checkpoint::{Differs, KEY_BYTES, Malformed, Mismatch};

pub(super) use self::checkpoint_file::{append, checkpoints_of_anybody, checkpoints_signed_by, watched};
pub(super) use self::key_file::{public_keys, public_path, save_new, signing_key};
pub(super) use self::signature::SigningKey;

use crate::exit::ExitStatus;

/// A public key.
pub(super) type PublicKey = [u8; KEY_BYTES];

/// Why a checkpoint is not made or trusted, or what it has proved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningError {
    /// A file does not hold the key that is wanted.
    #[error("`{}` holds no {wanted}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// Others may read the private key.
    #[error("the private key `{}` is open to others: its permissions are {mode:03o}", path.display())]
    OpenKey {
        /// The file.
        path: PathBuf,
        /// What is allowed to whom.
        mode: u32,
    },
    /// The machine gives no random bytes.
    #[error("cannot make a key: the system gives no random bytes")]
    NoChance,
    /// A file of checkpoints is not written as such a file is.
    #[error("`{}` holds no checkpoints: {why}", path.display())]
    NoCheckpoints {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: Malformed,
    },
    /// A file of checkpoints is empty.
    #[error("`{}` holds no checkpoint", path.display())]
    NoCheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint was signed by somebody who is not trusted.
    #[error("the checkpoint of position {position} in `{}` is signed with the key {}, which is none of those given", path.display(), hex::encode(key))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Of the checkpoint.
        position: u64,
        /// The key that it names.
        key: PublicKey,
    },
    /// A checkpoint is not what was signed.
    #[error("the checkpoint of position {position} in `{}` is not what was signed with its key: it was changed", path.display())]
    Forged {
        /// The file.
        path: PathBuf,
        /// Of the checkpoint.
        position: u64,
    },
    /// The history was changed after it was signed.
    #[error("the history is not the one that was signed: {0}")]
    Mismatch(Mismatch),
    /// The same, of a history in files.
    #[error("the history is not the one that was signed: {0}")]
    MismatchInFiles(Mismatch),
    /// No checkpoint lies in what was verified.
    #[error("no checkpoint lies within this export, which begins behind position {after}")]
    NoneWithin {
        /// Behind which it begins.
        after: u64,
    },
    /// Only a whole log is signed.
    #[error("nothing is signed: the export begins behind position {after}, and only a whole log can be signed")]
    NotTheWhole {
        /// Behind which it begins.
        after: u64,
    },
    /// There is nothing to sign.
    #[error("nothing is signed: the log is empty")]
    EmptyLog,
}

impl SigningError {
    pub(crate) fn status(&self) -> ExitStatus {
        match self {
            Self::Forged { .. } | Self::Mismatch(_) | Self::MismatchInFiles(_) => ExitStatus::NotWhole,
            Self::NoKey { .. }
            | Self::OpenKey { .. }
            | Self::NoChance
            | Self::NoCheckpoints { .. }
            | Self::NoCheckpoint { .. }
            | Self::UnknownKey { .. }
            | Self::NoneWithin { .. }
            | Self::NotTheWhole { .. }
            | Self::EmptyLog => ExitStatus::Failure,
        }
    }

    /// What to do next.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoKey { .. } => {
                "`knit audit keygen FILE` makes a pair of keys: FILE is private, FILE.pub public".to_owned()
            }
            Self::OpenKey { path, .. } => {
                format!(
                    "take it away from them: `chmod 600 {}`; if others may have read it, make a new one",
                    path.display()
                )
            }
            Self::NoCheckpoints { .. } | Self::NoCheckpoint { .. } => {
                "`knit audit checkpoint --key KEY --append FILE` writes one".to_owned()
            }
            Self::UnknownKey { .. } => {
                "name the public key of every signer whom you trust: `--key` may be repeated".to_owned()
            }
            Self::Forged { .. } => "keep the file as it is, and compare it with a copy".to_owned(),
            Self::MismatchInFiles(Mismatch { differs: Differs::Shortened { .. }, .. }) => {
                "the files end before what was signed: verify them together with what follows, or export the log again"
                    .to_owned()
            }
            Self::MismatchInFiles(_) => {
                "keep the files as they are, and compare them with the log: `knit audit verify` with the same checkpoints"
                    .to_owned()
            }
            Self::Mismatch(_) => "keep the database as it is, and compare it with a backup".to_owned(),
            Self::NoneWithin { .. } | Self::NotTheWhole { .. } => {
                "`knit audit export -o FILE` writes the whole log".to_owned()
            }
            Self::NoChance => "try again".to_owned(),
            Self::EmptyLog => "sign it when something has happened".to_owned(),
        }
    }
}

/// The most bytes of a file of keys or checkpoints: tens of thousands of checkpoints.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The text of such a file.
fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    Ok(text)
}
