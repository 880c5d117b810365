//! The ten words of a Run's life, and which may follow which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a Run is. The words are those of the wire and of the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Waiting, but held because its Plan is inactive. Derived (see [`Status::under`]), never stored.
    Deactivated,
    /// Free to start; the volumes of its outputs are not made yet.
    Waiting,
    /// Every volume exists.
    Ready,
    /// A Worker is wanted.
    Starting,
    /// The Worker was seen running. Uploads and imports are born so.
    Running,
    /// Success is decided; the Worker is not yet removed.
    Completing,
    /// Failure is decided; the Worker is not yet removed.
    Aborting,
    /// Ended well: its outputs may fill inputs.
    Done,
    /// Ended badly: its outputs never fill inputs.
    Failed,
    /// Deleted, and remembered so that its combination is not run again.
    Invalidated,
}

/// What asking a Run to go from one status to another comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It is there already; nothing is to be recorded.
    Already,
    /// It may go there.
    Allowed,
    /// It must not.
    Denied,
}

/// The one table of status changes (domain.md 2.3).
///
/// Creation, retry and delete do not pass through it, and nothing passes through it to `invalidated`.
/// Ended Runs deny even the status they have: whoever asks acts on an outdated view.
#[must_use]
pub const fn change(from: Status, to: Status) -> Change {
    use Status::{Aborting, Completing, Deactivated, Done, Failed, Invalidated, Ready, Running, Starting, Waiting};
    match (from, to) {
        (Deactivated, Deactivated)
        | (Waiting, Waiting)
        | (Ready, Ready)
        | (Starting, Starting)
        | (Running, Running)
        | (Completing, Completing)
        | (Aborting, Aborting) => Change::Already,
        (Deactivated, Waiting | Aborting)
        | (Waiting, Deactivated | Ready | Aborting)
        | (Ready, Starting | Running | Completing | Aborting)
        | (Starting, Running | Completing | Aborting)
        | (Running, Completing | Aborting)
        | (Completing, Done)
        | (Aborting, Failed) => Change::Allowed,
        (
            Deactivated | Waiting | Ready | Starting | Running | Completing | Aborting | Done | Failed | Invalidated,
            Deactivated | Waiting | Ready | Starting | Running | Completing | Aborting | Done | Failed | Invalidated,
        ) => Change::Denied,
    }
}

impl Status {
    /// All ten, in the order of a Run's life.
    pub const ALL: [Self; 10] = [
        Self::Deactivated,
        Self::Waiting,
        Self::Ready,
        Self::Starting,
        Self::Running,
        Self::Completing,
        Self::Aborting,
        Self::Done,
        Self::Failed,
        Self::Invalidated,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deactivated => "deactivated",
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Completing => "completing",
            Self::Aborting => "aborting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Invalidated => "invalidated",
        }
    }

    /// The status people see: a waiting Run of an inactive Plan is `deactivated`.
    ///
    /// It is derived so that (de)activating a Plan touches one stream and not thousands of Runs.
    #[must_use]
    pub const fn under(self, plan_active: bool) -> Self {
        match self {
            Self::Waiting | Self::Deactivated => {
                if plan_active {
                    Self::Waiting
                } else {
                    Self::Deactivated
                }
            }
            Self::Ready
            | Self::Starting
            | Self::Running
            | Self::Completing
            | Self::Aborting
            | Self::Done
            | Self::Failed
            | Self::Invalidated => self,
        }
    }

    /// Whether the Run came to an end, good or bad. A tombstone is none.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Done | Self::Failed => true,
            Self::Deactivated
            | Self::Waiting
            | Self::Ready
            | Self::Starting
            | Self::Running
            | Self::Completing
            | Self::Aborting
            | Self::Invalidated => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is none of the ten words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a status of a Run: use one of {}", Status::ALL.map(Status::as_str).join(", "))]
pub struct UnknownStatus {
    /// What was given.
    pub text: String,
}

impl FromStr for Status {
    type Err = UnknownStatus;
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows: from; columns: to; both in the order of `Status::ALL`.
    /// `=` no change is needed, `+` allowed, `.` denied.
    const TABLE: [&str; 10] = [
        "=+....+...", // deactivated
        "+=+...+...", // waiting
        "..=++++...", // ready
        "...=+++...", // starting
        "....=++...", // running
        ".....=.+..", // completing
        "......=.+.", // aborting
        "..........", // done
        "..........", // failed
        "..........", // invalidated
    ];

    #[test]
    fn sts_01_every_pair_of_statuses_follows_the_table() {
        for (from, row) in Status::ALL.into_iter().zip(TABLE) {
            for (to, cell) in Status::ALL.into_iter().zip(row.chars()) {
                let expected = match cell {
                    '=' => Change::Already,
                    '+' => Change::Allowed,
                    _ => Change::Denied,
                };
                assert_eq!(change(from, to), expected, "{from} to {to}");
            }
        }
    }

    #[test]
    fn every_word_reads_back_and_others_do_not() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{status}\""));
        }
        let refused = "Waiting".parse::<Status>().unwrap_err();
        assert!(refused.to_string().contains("`Waiting`") && refused.to_string().contains("waiting, ready"));
    }

    #[test]
    fn only_waiting_runs_are_held_by_an_inactive_plan() {
        for status in Status::ALL {
            let waits = matches!(status, Status::Waiting | Status::Deactivated);
            assert_eq!(status.under(false), if waits { Status::Deactivated } else { status });
            assert_eq!(status.under(true), if waits { Status::Waiting } else { status });
        }
    }
}
