//! Ports for servers that must find theirs again after a restart.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Where ports are looked for: below those that the system gives to outgoing connections, one of which would
/// hold the port while its server is away.
const FIRST: u16 = 20_000;
/// How many there are from there on.
const COUNT: u16 = 12_000;

/// A loopback port that nobody listens at now, another one each time.
///
/// # Panics
/// When all are taken.
#[must_use]
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes run side by side and should not try the same ports in the same order.
    let own = u16::try_from(std::process::id() % u32::from(COUNT)).expect("it is less than COUNT");
    let candidates = (0..COUNT).map(|_| FIRST + (own + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT);
    let mut free = candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("a free loopback port")
}
