//! `knit version`.

use crate::error::Error;
use crate::output;

/// The version of this program, and the API of the original that it speaks.
pub(crate) const TEXT: &str = knit_schemas::api::VERSION;

/// Prints the version of this program; the server is not asked.
pub(crate) fn run() -> Result<(), Error> {
    Ok(output::text(&format!("{TEXT}\n"))?)
}
