//! Doors to what reads the words of strangers, for those who try it with anything (`tests/fuzz`).
//!
//! The command line itself has only [`crate::main`]. Here each reader stands alone, without a server and
//! without a terminal, so that millions of inputs can be tried on it.

use std::path::Path;

use chrono::{DateTime, FixedOffset};
use knit_schemas::api::PlanSpec;

use crate::archive::unpack;
use crate::plan::file;
use crate::profile::Profile;
use crate::since;

/// A Plan file as `knit plan apply` reads it: the Plan, and what is warned about.
///
/// # Errors
/// What is said about a file that is none.
pub fn plan_file(text: &str) -> Result<(PlanSpec, Vec<String>), String> {
    let file = file::parse(text).map_err(|error| error.to_string())?;
    Ok((file.spec, file.warnings))
}

/// A profile as `knit` reads it; answers the address of the server that it names.
///
/// # Errors
/// What is said about a file that is none, or names none.
pub fn profile(text: &str) -> Result<String, String> {
    let profile: Profile = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
    let server = profile.server().map_err(|error| error.to_string())?;
    Ok(server.root.to_string())
}

/// A time as it is written behind `--since`.
///
/// # Errors
/// What is said about a text that is none.
pub fn since(text: &str) -> Result<DateTime<FixedOffset>, String> {
    since::parse(text).map_err(|error| error.to_string())
}

/// The archive of a Data as `knit data pull --extract` unpacks it: into the directory `name` of `destination`.
///
/// # Errors
/// What is said about an archive that is not unpacked.
pub fn pull(archive: &[u8], destination: &Path, name: &str) -> Result<(), String> {
    let staged = unpack::unpack(archive, destination).map_err(|error| error.to_string())?;
    staged.move_to(&destination.join(name)).map_err(|error| error.to_string())
}
