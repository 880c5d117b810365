//! `--follow`: an answer that is kept up to date.
//!
//! After everything that happens to Data, Runs or Plans the question is asked again, and the answer is shown when it
//! is another. On a terminal it takes the place of the one before; elsewhere it is written whole behind that. A server
//! that is started again meanwhile is waited for.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, sleep, sleep_until};

use crate::as_of::AsOf;
use crate::client::Client;
use crate::error::Error;
use crate::events::{Changes, Wanted, patiently};
use crate::output;
use crate::waiting;

/// The kinds of things in an answer that can be followed.
const KINDS: [&str; 3] = ["data", "plan", "run"];
/// The shortest pause between two questions: on a busy server something happens all the time.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// How long to wait for an answer about what was told already: projections are behind by no more than moments.
const CATCHING_UP: Duration = Duration::from_millis(20);
/// Clears the terminal and goes to its beginning.
const CLEARED: &str = "\u{1b}[2J\u{1b}[H";

/// Whether to follow.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Following {
    /// Go on showing the answer as it changes, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

impl Following {
    /// Whether that is wanted.
    pub(crate) fn is_wanted(self) -> bool {
        self.follow
    }

    /// Refuses to follow the past.
    pub(crate) fn check(self, as_of: &AsOf) -> Result<(), Error> {
        if self.follow && as_of.is_past() {
            let why = "`--follow` goes on with the present, and what is as of a time never changes: leave out one of \
                       `--follow` and `--as-of`";
            return Err(Error::Usage(why.to_owned()));
        }
        Ok(())
    }
}

/// An answer as it is shown, and the position of the log that it reflects; an original server does not tell that.
pub(crate) type Shown = (Vec<u8>, Option<u64>);

/// Shows what `look` answers, and again whenever that changes.
///
/// The first time everything that goes wrong is an error; later, a server that is away is waited for.
pub(crate) async fn follow(client: &Client, mut look: impl AsyncFnMut() -> Result<Shown, Error>) -> Result<(), Error> {
    let (mut shown, mut position) = look().await?;
    show(&shown)?;
    let wanted = Wanted { entities: KINDS.map(str::to_owned).into(), ..Wanted::default() };
    let mut changes = Changes::since(client, wanted, position).await?;
    loop {
        // From here on the server is not waited for, however long nothing happens.
        waiting::end();
        let told = changes.next_behind(position).await?;
        let looked_at = Instant::now();
        let answer = loop {
            let answer = patiently(&mut look).await?;
            // What was told must be in the answer, or it would be missed until something else happens.
            if answer.1.is_none() || answer.1 >= told {
                break answer;
            }
            sleep(CATCHING_UP).await;
        };
        position = answer.1;
        if answer.0 != shown {
            shown = answer.0;
            show(&shown)?;
        }
        sleep_until(looked_at + PAUSE_MIN).await;
    }
}

/// On a terminal in place of what was there, otherwise behind it.
fn show(text: &[u8]) -> io::Result<()> {
    let mut out = output::stdout();
    if io::stdout().is_terminal() {
        out.write_all(CLEARED.as_bytes())?;
        out.write_all(&on_one_screen(&String::from_utf8_lossy(text), output::terminal_height()))?;
    } else {
        out.write_all(text)?;
    }
    out.flush()
}

/// As many lines as there are rows, the last of which says how many there are no rows for.
fn on_one_screen(text: &str, rows: Option<usize>) -> Vec<u8> {
    let lines = text.trim_end_matches('\n').lines().count();
    let Some(kept) = rows.and_then(|rows| rows.checked_sub(2)).filter(|kept| lines > kept + 1) else {
        return text.trim_end_matches('\n').bytes().chain(*b"\n").collect();
    };
    let mut screen: String = text.lines().take(kept).flat_map(|line| [line, "\n"]).collect();
    screen.push_str(&format!("… and {} more lines than this terminal has\n", lines - kept));
    screen.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_the_terminal_is_cut_and_says_so() {
        let text: String = (1..=9).map(|line| format!("{line}\n")).collect();
        let screen = |rows| String::from_utf8(on_one_screen(&text, rows)).unwrap();
        assert_eq!(screen(Some(5)), "1\n2\n3\n… and 6 more lines than this terminal has\n");
        for rows in [None, Some(0), Some(10), Some(40)] {
            assert_eq!(screen(rows), text, "{rows:?}");
        }
    }
}
