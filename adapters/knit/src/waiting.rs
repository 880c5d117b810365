//! What is waited for, shown on a terminal when it takes longer than a second.
//!
//! Every question to a server says here what it is; whatever is printed takes the sign away again, so that it never
//! stands between the lines of an answer. One call of `knit` waits for one thing at a time.

use std::convert::Infallible;
use std::fmt::Display;
use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// What takes no longer than this needs no sign that it goes on.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether the time has come, and how often the sign moves.
const TICK: Duration = Duration::from_millis(100);

static WAITING: Mutex<Waiting> =
    Mutex::new(Waiting { what: String::new(), is_purpose: false, since: None, sign: None });

#[derive(Debug)]
struct Waiting {
    /// Words behind "waiting for".
    what: String,
    /// Whether that is what the command is for, and not only a question on the way.
    is_purpose: bool,
    /// Since when; `None` while nothing is waited for.
    since: Option<Instant>,
    sign: Option<ProgressBar>,
}

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on `what` is waited for, which follows "waiting for": a question, of which a command may ask many.
pub(crate) fn begin(what: &impl Display) {
    waiting().set(what, false);
}

/// From now on `what` is waited for, whatever is asked meanwhile.
pub(crate) fn begin_purpose(what: &impl Display) {
    waiting().set(what, true);
}

impl Waiting {
    fn set(&mut self, what: &impl Display, is_purpose: bool) {
        self.since.get_or_insert_with(Instant::now);
        if self.is_purpose && !is_purpose {
            return;
        }
        (self.what, self.is_purpose) = (what.to_string(), is_purpose);
        if let Some(sign) = &self.sign {
            sign.set_message(self.what.clone());
        }
    }
}

/// Nothing is waited for any more, or something is about to be printed.
pub(crate) fn end() {
    let mut waiting = waiting();
    (waiting.since, waiting.is_purpose) = (None, false);
    if let Some(sign) = waiting.sign.take() {
        sign.finish_and_clear();
    }
}

/// Shows the sign whenever something has been waited for too long. It never ends; where nobody would see the sign,
/// it does nothing.
pub(crate) async fn watch() -> Infallible {
    if output::is_quiet() || !io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(TICK).await;
        let mut waiting = waiting();
        let is_long = waiting.since.is_some_and(|since| since.elapsed() >= SILENCE_MAX);
        if is_long && waiting.sign.is_none() {
            waiting.sign = Some(sign(&waiting.what, waiting.since.map_or(Duration::ZERO, |since| since.elapsed())));
        }
    }
}

fn sign(what: &str, elapsed: Duration) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed} waiting for {wide_msg}");
    let sign = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        .with_message(what.to_owned())
        .with_elapsed(elapsed);
    sign.enable_steady_tick(TICK);
    sign
}
