//! Waiting for a file descriptor that is neither a socket nor a pipe.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers the descriptor with the asynchronous runtime.
pub(super) fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "it is deprecated for types that may give away a descriptor they do not own; an `OwnedFd` owns its own, \
                  and the replacement is an unsafe function"
    )]
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}
