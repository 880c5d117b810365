//! What the servers answered, in numbers: an answer of 5xx in hours of ordinary work is a defect.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};

use knit_tests::http::Response;

use crate::bench::tell;

/// Counts of the answers of one server.
#[derive(Debug, Default)]
pub(super) struct Answers {
    well: AtomicU64,
    refused: AtomicU64,
    faults: AtomicU64,
}

impl Answers {
    /// Counts an answer, or that there was none.
    pub(super) fn count(&self, request: &str, answer: &std::io::Result<Response>) {
        match answer {
            Ok(answer) if answer.status < 400 => self.well.fetch_add(1, Ordering::Relaxed),
            Ok(answer) if answer.status < 500 => self.refused.fetch_add(1, Ordering::Relaxed),
            Ok(answer) => {
                tell(&format!("{request} was answered with {}: {}", answer.status, answer.text()));
                self.faults.fetch_add(1, Ordering::Relaxed)
            }
            Err(error) => {
                tell(&format!("{request} was not answered: {error}"));
                self.faults.fetch_add(1, Ordering::Relaxed)
            }
        };
    }

    /// Counts a call of `knit`. None of those that are made has a reason to fail.
    pub(super) fn count_command(&self, success: bool, conversation: &dyn Display) {
        if success {
            self.well.fetch_add(1, Ordering::Relaxed);
        } else {
            tell(&conversation.to_string());
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Answers below 400.
    pub(super) fn well(&self) -> u64 {
        self.well.load(Ordering::Relaxed)
    }

    /// Answers of 4xx: a rule said no, as it must now and then.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Answers of 5xx, none at all, and calls of `knit` that failed.
    pub(super) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }
}
