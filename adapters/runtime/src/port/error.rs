//! What can go wrong, in three families: refused, too late, broken.

use std::error::Error;
use std::io;

use knit_domain::id::VolumeRef;

use crate::archive::BadArchive;

/// The world broke. Whoever asked may ask again.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}")]
pub struct Fault {
    /// What was tried, as in "cannot …".
    pub action: String,
    /// Why it failed.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl Fault {
    /// A fault of something that was tried.
    pub fn new(action: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { action: action.into(), source: source.into() }
    }

    /// Whether a full disk (or an exhausted quota) is behind it, so that the advice can say so.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&*self.source);
        while let Some(error) = cause {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// A volume could not be read or sealed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such volume.
    #[error("there is no volume `{volume}`")]
    Missing {
        /// The volume.
        volume: VolumeRef,
    },
    /// The world broke.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// An upload did not become a volume. Nothing of it stayed behind.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The archive is not acceptable: its sender must change it.
    #[error(transparent)]
    Refused(#[from] BadArchive),
    /// The sender vanished in the middle.
    #[error("the upload broke off")]
    BrokenOff(#[source] Box<dyn Error + Send + Sync>),
    /// Somebody was faster.
    #[error("the volume `{volume}` exists already")]
    Exists {
        /// The volume.
        volume: VolumeRef,
    },
    /// The world broke.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A Worker was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It can never run here; asking again is useless.
    #[error("{reason}")]
    Impossible {
        /// What, why, and what to do about it, for the user.
        reason: String,
    },
    /// The world broke.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Workers cannot run here at present.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unfit {
    /// What failed.
    pub reason: String,
    /// What to do about it.
    pub advice: String,
}
