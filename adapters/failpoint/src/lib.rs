//! Failpoints: named places in the program at which a test lets it die, as `kill -9` at that very
//! instruction would.
//!
//! Between any two steps that a crash could separate stands a call of [`failpoint`]. Unless the program was
//! started with [`VARIABLE`] in its environment, the call is one relaxed load of a flag. Otherwise the
//! variable says what is to happen, a list with commas between:
//!
//! ```text
//! upload.stored                     the process dies the first time somebody comes to this place
//! initialize.volume-made:2          the second time
//! upload.stored>committed.RunFailed whoever comes to the first place waits until somebody came to the second
//! ```
//!
//! Dying is SIGKILL to the own process: nothing is flushed, unwound or said, but for one line on standard
//! error that tells a test that the place was reached. Waiting is for races: it makes an order of events
//! certain that chance would show once in a thousand runs. A line on standard error says that it has begun.
//!
//! The crate knows nobody of the house, so that the log and the runtime, which do not know each other, can
//! both have such places. The test kit holds the table of them all against the sources.

mod orders;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

pub use orders::BadOrders;
use orders::Orders;

/// The environment variable that is read by [`arm`].
pub const VARIABLE: &str = "KNITD_FAILPOINT";

static ARMED: AtomicBool = AtomicBool::new(false);
static ORDERS: OnceLock<(String, Orders)> = OnceLock::new();

/// A place at which the process can be made to die.
#[inline]
pub fn failpoint(place: &str) {
    if ARMED.load(Ordering::Relaxed) {
        come_to(place);
    }
}

/// As many places as there are `things`, each named `<instant>.<thing>`. Nothing is asked of the iterator
/// unless the process is armed.
#[inline]
pub fn failpoints<'a>(instant: &str, things: impl IntoIterator<Item = &'a str>) {
    if ARMED.load(Ordering::Relaxed) {
        things.into_iter().for_each(|thing| come_to(&format!("{instant}.{thing}")));
    }
}

#[cold]
fn come_to(place: &str) {
    if let Some((_, orders)) = ORDERS.get() {
        orders.obey(place);
    }
}

/// Reads the environment, once; call it before there are threads.
///
/// # Errors
/// [`BadOrders`] when the variable does not say what is to happen.
pub fn arm() -> Result<(), BadOrders> {
    let Some(value) = std::env::var_os(VARIABLE) else { return Ok(()) };
    let text = value.to_string_lossy().into_owned();
    let orders = text.parse()?;
    if ORDERS.set((text, orders)).is_ok() {
        ARMED.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// The variable and its value, for a child process with an environment of its own that is to be armed too.
#[must_use]
pub fn inherited() -> Option<(&'static str, &'static str)> {
    ORDERS.get().map(|(text, _)| (VARIABLE, text.as_str()))
}
