//! Which steps a database still has to take.

use knit_schemas::migrations::Migration;

use crate::error::OpenError;

/// The steps beyond version `found`.
///
/// # Errors
/// [`OpenError::NewerSchema`] when the tables were changed by a program that knows more steps. This
/// one could write rows that the newer tables do not mean, so it must not touch them.
pub(crate) fn missing(steps: &[Migration], found: i64) -> Result<&[Migration], OpenError> {
    let known = steps.last().map_or(0, |step| step.version);
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    let taken = steps.iter().take_while(|step| step.version <= found).count();
    Ok(&steps[taken..])
}
