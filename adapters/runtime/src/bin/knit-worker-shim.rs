//! The stages of a Worker and nothing else: what the tests of this crate start instead of the server.

use std::process::ExitCode;

fn main() -> ExitCode {
    knit_runtime::local::shim::dispatch().unwrap_or(ExitCode::FAILURE)
}
