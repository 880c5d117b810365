//! Identities: of Plans, Runs, Data, events, volumes, Workers and Data Agents.
//!
//! Ids are lower-case UUIDs on the wire and sixteen bytes in memory. An id that is not written in
//! that one form does not parse, and a thing asked for by it is simply not found.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not a lower-case, hyphenated UUID of 36 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: ids are lower-case UUIDs of 36 characters")]
pub struct MalformedId {
    /// What was given.
    pub text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;
            fn from_str(text: &str) -> Result<Self, MalformedId> {
                strict_uuid(text).map(Self).ok_or_else(|| MalformedId { text: text.to_owned() })
            }
        }
    )*};
}

ids! {
    /// Identity of a Plan.
    PlanId;
    /// Identity of a Run.
    RunId;
    /// Identity of a Data; the wire calls it `knitId`.
    KnitId;
    /// Identity of an event; an append is retried with the same event ids.
    EventId;
}

/// Length of the one form of an id.
const UUID_CHARS: usize = 36;

fn strict_uuid(text: &str) -> Option<Uuid> {
    let well_formed = text.len() == UUID_CHARS && !text.bytes().any(|b| b.is_ascii_uppercase());
    well_formed.then(|| Uuid::try_parse(text).ok()).flatten()
}

/// Name of the volume that holds one Data: `data-knitid-<knitId>`.
///
/// It is stored with the Data, not derived again, so that imported histories keep their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VolumeRef(pub String);

impl VolumeRef {
    /// The conventional name of the volume of `data`.
    #[must_use]
    pub fn of(data: KnitId) -> Self {
        Self(format!("data-knitid-{data}"))
    }
}

impl fmt::Display for VolumeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of the Worker of one attempt of a Run.
///
/// Attempt 1 is `worker-run-<runId>` as in the original; later attempts append `-<attempt>`, so that
/// the end of an earlier attempt is never taken for that of a later one (X13).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerName(pub String);

impl WorkerName {
    /// The name of the Worker of `attempt` (1, 2, …) of `run`.
    #[must_use]
    pub fn of(run: RunId, attempt: u32) -> Self {
        if attempt <= 1 { Self(format!("worker-run-{run}")) } else { Self(format!("worker-run-{run}-{attempt}")) }
    }

    /// The Run that a Worker of this name belongs to; none when it is not named so.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        let rest = self.0.strip_prefix("worker-run-")?;
        let (run, attempt) = rest.split_at_checked(UUID_CHARS)?;
        (attempt.is_empty() || attempt.starts_with('-')).then(|| run.parse().ok())?
    }
}

impl fmt::Display for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of a Data Agent: `knitid-<knitId>-<read|write>-<5 hex characters>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentName(pub String);

impl AgentName {
    /// The name of an agent; `chance` gives the five hex characters that keep readers apart.
    #[must_use]
    pub fn of(data: KnitId, mode: AgentMode, chance: u32) -> Self {
        Self(format!("knitid-{data}-{mode}-{:05x}", chance & 0xf_ffff))
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a Data Agent serves a download or takes an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentMode {
    /// Serves a download or a stored log.
    Read,
    /// Takes an upload; at most one per Data.
    Write,
}

impl fmt::Display for AgentMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_an_id() {
        let text = "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11";
        assert_eq!(text.parse::<KnitId>().unwrap().to_string(), text);
        for bad in ["", "x", "3B0F5A52-6C1E-4D0E-9A53-0D1F6F6B7C11", "3b0f5a526c1e4d0e9a530d1f6f6b7c11"] {
            assert!(bad.parse::<KnitId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn x13_every_attempt_has_a_worker_of_its_own() {
        let run: RunId = "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11".parse().unwrap();
        assert_eq!(WorkerName::of(run, 1).0, format!("worker-run-{run}"));
        assert_eq!(WorkerName::of(run, 2).0, format!("worker-run-{run}-2"));
        assert!([1, 2, 33].iter().all(|attempt| WorkerName::of(run, *attempt).run() == Some(run)));
        assert_eq!(WorkerName("worker-run-of-somebody-else".to_owned()).run(), None);
    }
}
