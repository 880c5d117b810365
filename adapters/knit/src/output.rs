//! What a person or a program sees: JSON on standard output, log lines and notes on standard error.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use crate::telling;
use crate::waiting;

/// Bytes gathered before they are written: a listing is many small pieces.
const BUFFER_BYTES: usize = 64 * 1024;
/// How often a progress bar is drawn: often enough to look alive, seldom enough to cost nothing.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// The original's indentation, which scripts may have come to compare with.
pub(crate) const INDENT: &[u8] = b"    ";

/// Whether nothing but errors is said. Notes come from everywhere, and nobody should have to carry this there.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Says from now on nothing but errors, if that is wanted.
pub(crate) fn be_quiet(is_wanted: bool) {
    IS_QUIET.store(is_wanted, Ordering::Relaxed);
}

/// Whether that is wanted.
pub(crate) fn is_quiet() -> bool {
    IS_QUIET.load(Ordering::Relaxed)
}

/// Standard output, buffered: the answer is there, and nothing is waited for.
pub(crate) fn stdout() -> BufWriter<Stdout> {
    waiting::end();
    BufWriter::with_capacity(BUFFER_BYTES, io::stdout())
}

/// Standard output for what may be tens of megabytes: a thread of its own writes what is there while the rest is made.
#[derive(Debug)]
pub(crate) struct Stream {
    filling: Vec<u8>,
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    writer: JoinHandle<io::Result<()>>,
}

/// Bytes handed over at once: few enough to stay in a processor's cache, many enough to be worth a call.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that wait to be written; whoever makes more of them waits as well.
const PIECES_WAITING: usize = 2;

impl Stream {
    /// Standard output, whose thread ends with [`Self::finish`].
    pub(crate) fn begin() -> Self {
        let (full, waiting) = mpsc::sync_channel::<Vec<u8>>(PIECES_WAITING);
        let (written, empty) = mpsc::channel();
        let writer = thread::spawn(move || {
            // It stays unlocked between pieces, so that nothing else that prints waits for this thread's end.
            let mut out = io::stdout();
            for mut piece in waiting {
                out.write_all(&piece)?;
                piece.clear();
                // Whoever made it may be done and gone.
                let _ = written.send(piece);
            }
            out.flush()
        });
        Self { filling: Vec::with_capacity(PIECE_BYTES), full, empty, writer }
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// What writing anything of it said.
    pub(crate) fn finish(self) -> io::Result<()> {
        let Self { filling, full, empty: _, writer } = self;
        // If the thread has ended, joining it tells why.
        let _ = full.send(filling);
        drop(full);
        writer.join().unwrap_or_else(|_| Err(io::Error::other("the thread that writes has panicked")))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.filling.extend_from_slice(bytes);
        if self.filling.len() >= PIECE_BYTES {
            let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(2 * PIECE_BYTES));
            let piece = mem::replace(&mut self.filling, next);
            // Standard output is closed or full; which of them, `finish` says.
            self.full.send(piece).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        }
        Ok(bytes.len())
    }

    /// Nothing is held back for longer than a piece; [`Self::finish`] is what waits.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Columns of the terminal that standard output is; `None` if it is no terminal.
pub(crate) fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// Rows of the terminal that standard output is; `None` if it is no terminal.
pub(crate) fn terminal_height() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(_, height)| usize::from(height.0))
}

/// Prints a text as it is.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut out = stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints one value, indented, with a final newline.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    text(&pretty(value)?)
}

/// Prints one value as YAML.
pub(crate) fn yaml(value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    text(&serde_yaml_ng::to_string(value).map_err(io::Error::other)?)
}

/// The text of one value as a document in a stream of YAML.
pub(crate) fn yaml_document(value: &(impl Serialize + ?Sized)) -> io::Result<Vec<u8>> {
    let mut text = b"---\n".to_vec();
    serde_yaml_ng::to_writer(&mut text, value).map_err(io::Error::other)?;
    Ok(text)
}

/// The text that [`json`] prints.
pub(crate) fn pretty(value: &impl Serialize) -> io::Result<String> {
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(INDENT)))?;
    text.push(b'\n');
    String::from_utf8(text).map_err(io::Error::other)
}

/// Writes log lines as the original does: `[knit data push] 2025/03/03 10:15:30 message`.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    prefix: String,
}

impl Log {
    /// A log of the command `words`, such as `knit data push`.
    pub(crate) fn new(words: String) -> Self {
        Self { prefix: words }
    }

    /// One line. That standard error is closed is nobody's concern.
    pub(crate) fn line(&self, message: impl std::fmt::Display) {
        if is_quiet() {
            return;
        }
        waiting::end();
        // As the original has it, for who reads log files; to people every time is told in one form.
        let form = if io::stderr().is_terminal() { telling::TIME } else { "%Y/%m/%d %H:%M:%S" };
        let now = chrono::Local::now().format(form);
        let message = message.to_string();
        let _ = writeln!(io::stderr(), "[{}] {now} {}", self.prefix, telling::visible_but(&message, &MEANT));
    }
}

/// What texts of several lines are made of.
const MEANT: [char; 2] = ['\n', '\t'];

/// Says something beside the result: a note, a warning, a hint.
pub(crate) fn say(text: impl std::fmt::Display) {
    if !is_quiet() {
        waiting::end();
        let text = text.to_string();
        let _ = writeln!(io::stderr(), "{}", to_people(&telling::visible_but(&text, &MEANT)));
    }
}

/// Says a text of several lines that ends itself; nothing if it is empty.
pub(crate) fn complain(text: &str) {
    let text = telling::visible_but(text, &MEANT);
    let _ = io::stderr().write_all(to_people(&text).as_bytes());
}

/// What a server says with the times of the wire in it, as a terminal gets it: with its times, and no word broken.
fn to_people(text: &str) -> Cow<'_, str> {
    match terminal_size::terminal_size_of(io::stderr()) {
        Some((width, _)) => Cow::Owned(telling::in_rows(&telling::at_home(text), usize::from(width.0))),
        None if io::stderr().is_terminal() => Cow::Owned(telling::at_home(text)),
        None => Cow::Borrowed(text),
    }
}

/// So many in a second, as people read it: `8,166/s`, and of what is slow one digit more.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second < 10.0 {
        return format!("{per_second:.1}/s");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is no less than ten, and rounded")]
    let per_second = per_second.round() as u64;
    format!("{}/s", HumanCount(per_second))
}

/// A title with nothing in it that a terminal obeys.
fn shown(title: String) -> String {
    let escaped = match telling::visible(&title) {
        Cow::Borrowed(_) => None,
        Cow::Owned(escaped) => Some(escaped),
    };
    escaped.unwrap_or(title)
}

/// How far a transfer is; draws only where a person can see it.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar with `title`, whose total is told later.
    pub(crate) fn to_a_total(title: String) -> Self {
        Self::draw(title, "{bytes} {bar:10} {bytes_per_sec}  {wide_msg}")
    }

    /// A count with `title`: nobody knows the total.
    pub(crate) fn without_end(title: String) -> Self {
        Self::draw(title, "{bytes} {bytes_per_sec}  {wide_msg}")
    }

    /// A bar with `title` that counts events, with the rate and the time that is left; what is expected and advanced
    /// are events then, and no bytes. The title has a few words, and it is the bar that gives way.
    pub(crate) fn of_events(title: String) -> Self {
        Self::draw(title, "{msg}: {human_pos} of {human_len} events {wide_bar} {rate}, {eta} left")
    }

    /// A title of any length comes last, where it is cut to what the line has room for.
    fn draw(title: String, template: &str) -> Self {
        waiting::end();
        if is_quiet() || !io::stderr().is_terminal() {
            return Self::hidden();
        }
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            // A line that cannot be written is not drawn.
            let _ = text.write_str(&rate(state.per_sec()));
        };
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
            .with_style(style.with_key("rate", rate))
            .with_message(shown(title));
        bar.enable_steady_tick(PROGRESS_INTERVAL);
        Self(bar)
    }

    /// One that nobody sees.
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Says something else beside it.
    pub(crate) fn tell(&self, title: String) {
        self.0.set_message(shown(title));
    }

    /// Whether anybody sees it.
    pub(crate) fn is_visible(&self) -> bool {
        !self.0.is_hidden()
    }

    /// How many bytes there will be.
    pub(crate) fn expect(&self, bytes: u64) {
        self.0.set_length(bytes);
    }

    /// So many of so many are done.
    pub(crate) fn reach(&self, position: u64, length: u64) {
        self.0.set_length(length);
        self.0.set_position(position);
    }

    /// So many more bytes are done.
    pub(crate) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_no_digits_that_mean_nothing() {
        assert_eq!([8_166.123_4, 10.0, 0.25].map(rate), ["8,166/s", "10/s", "0.2/s"]);
    }

    #[test]
    fn json_is_indented_by_four_spaces_and_ends_with_a_newline() {
        let text = pretty(&serde_json::json!({"a": [1], "b": []})).unwrap();
        assert_eq!(text, "{\n    \"a\": [\n        1\n    ],\n    \"b\": []\n}\n");
    }
}
