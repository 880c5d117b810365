//! The command line of the harness.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

/// Measure every target of the design beside its anchor
///
/// Prints a table, and writes `performance.md` with plots and a JSON file.
#[derive(Debug, Clone, Parser)]
#[command(name = "knit-bench", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) instead: Option<Instead>,

    /// Small sizes and few rounds: a look in minutes, whose figures say little about the targets
    #[arg(long)]
    pub(crate) quick: bool,

    /// Measure only these families (repeatable) [default: all]
    #[arg(long = "only", value_name = "FAMILY", value_delimiter = ',')]
    pub(crate) only: Vec<Family>,

    /// Take the workflows of large graphs from the WfFormat files (.json, .json.gz) in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) workflows: Option<PathBuf>,

    /// Write the results to this folder [default: docs for a whole run, otherwise target/bench]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Put the results into those of an earlier whole run in this folder, in the place of the same families
    #[arg(long, value_name = "DIR", requires = "only", conflicts_with_all = ["out", "quick"])]
    pub(crate) within: Option<PathBuf>,

    /// Say how much memory a command needed at most, in bytes, and end. The harness calls itself so.
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true, hide = true)]
    pub(crate) peak_of: Vec<String>,
}

/// What is done instead of measuring the targets.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Instead {
    Soak(Soak),
}

/// Let two servers work for hours, one on each database, and look for what grows
///
/// Prints a page, and writes it as `soak.md` with plots and all samples.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Soak {
    /// Work for so many minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) minutes: u64,

    /// Write the results to this folder [default: docs for two hours and more, otherwise target/bench]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Write the samples to this file while they come
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
}

/// Rows that are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Family {
    /// Appending to the log.
    Append,
    /// Reading the log in order.
    Read,
    /// Folding it into projections.
    Fold,
    /// Verifying it, and importing it elsewhere.
    Audit,
    /// Walking the lineage.
    Lineage,
    /// What a node costs in memory.
    Memory,
    /// Starting the server.
    Start,
    /// Rebuilding projections, and what others notice of it.
    Rebuild,
    /// From the end of a Worker to the start of the next.
    Hop,
    /// Pushing and pulling.
    Transfer,
    /// Requests to the HTTP API.
    Api,
    /// The programs by themselves.
    Cli,
}

impl Family {
    /// In the order in which they are measured and shown.
    pub(crate) const ALL: [Self; 12] = [
        Self::Append,
        Self::Read,
        Self::Fold,
        Self::Audit,
        Self::Lineage,
        Self::Memory,
        Self::Start,
        Self::Rebuild,
        Self::Hop,
        Self::Transfer,
        Self::Api,
        Self::Cli,
    ];

    /// The word on the command line and in file names.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Read => "read",
            Self::Fold => "fold",
            Self::Audit => "audit",
            Self::Lineage => "lineage",
            Self::Memory => "memory",
            Self::Start => "start",
            Self::Rebuild => "rebuild",
            Self::Hop => "hop",
            Self::Transfer => "transfer",
            Self::Api => "api",
            Self::Cli => "cli",
        }
    }
}

impl Args {
    pub(crate) fn families(&self) -> Vec<Family> {
        let wanted = |family: &Family| self.only.is_empty() || self.only.contains(family);
        Family::ALL.into_iter().filter(wanted).collect()
    }

    /// A whole run at full size, whose results are worth keeping.
    pub(crate) fn is_whole(&self) -> bool {
        !self.quick && self.only.is_empty()
    }
}
