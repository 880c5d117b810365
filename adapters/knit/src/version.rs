//! `knit version`.

use std::io::Write;

use crate::error::Error;
use crate::output;

/// The API of the original that this program speaks.
const SPEAKS: &str = "v1.6.1";

/// Prints the version of this program; the server is not asked.
pub(crate) fn run() -> Result<(), Error> {
    let mut out = output::stdout();
    writeln!(out, "v{} (API of Knitfab {SPEAKS})", env!("CARGO_PKG_VERSION"))?;
    Ok(out.flush()?)
}
