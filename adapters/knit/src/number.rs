//! Numbers on the command line.

use std::str::FromStr;

/// Reads a number of things; the texts of the standard library speak of digits and not of what to write.
pub(crate) fn parse<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "write a whole number, such as 10".to_owned())
}
