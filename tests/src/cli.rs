//! `knit` as a user calls it: with an environment that holds nothing of this machine.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::program;
use crate::wait::{wait_for, wait_until};

/// A user's shell: a home directory, a working directory, and a server.
#[derive(Debug, Clone)]
pub struct Knit {
    home: PathBuf,
    server: String,
    /// The state directory of a server on this machine, if the user administers one.
    state_dir: Option<PathBuf>,
}

impl Knit {
    /// A user whose home and working directory is `home`, and whose server has the API root `server`.
    #[must_use]
    pub fn new(home: impl Into<PathBuf>, server: impl Into<String>) -> Self {
        Self { home: home.into(), server: server.into(), state_dir: None }
    }

    /// The same user, who administers the server that has this state directory.
    #[must_use]
    pub fn administering(self, state_dir: impl Into<PathBuf>) -> Self {
        Self { state_dir: Some(state_dir.into()), ..self }
    }

    /// Runs `knit` to its end.
    ///
    /// # Panics
    /// When it cannot be started or does not end.
    #[must_use]
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Outcome {
        self.start(args).finish()
    }

    /// Starts `knit` and leaves it running.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Conversation {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let line = args.iter().fold("knit".to_owned(), |line, arg| format!("{line} {}", arg.to_string_lossy()));
        let mut command = Command::new(program::path("knit"));
        command.args(args).env_clear().env("HOME", &self.home).env("KNIT_SERVER", &self.server).current_dir(&self.home);
        command.envs(self.state_dir.iter().map(|state_dir| ("KNITD_STATE_DIR", state_dir)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start `{line}`: {error}"));
        let stdout = Listener::to(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Listener::to(child.stderr.take().expect("stderr is a pipe"));
        Conversation { line, child, stdout, stderr }
    }

    /// Where the user is.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }
}

/// A `knit` that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Conversation {
    line: String,
    child: Child,
    stdout: Listener,
    stderr: Listener,
}

impl Conversation {
    /// Waits until `text` was printed to standard output.
    ///
    /// # Panics
    /// When it never is.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        wait_until(&format!("`{}` to print {text:?}", self.line), || self.stdout.heard().contains(text));
    }

    /// Waits until `text` was printed to standard error.
    ///
    /// # Panics
    /// When it never is.
    #[track_caller]
    pub fn says(&self, text: &str) {
        wait_until(&format!("`{}` to say {text:?}", self.line), || self.stderr.heard().contains(text));
    }

    /// Presses Ctrl-C.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn interrupt(&self) {
        let pid = i32::try_from(self.child.id()).expect("process ids are small");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("a child can be signalled");
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    #[track_caller]
    pub fn finish(mut self) -> Outcome {
        let status =
            wait_for(&format!("`{}` to end", self.line), || self.child.try_wait().expect("a child can be waited for"));
        let (stdout, stderr) = (self.stdout.all(), self.stderr.all());
        // A signal has no code; what a shell reports for it is above everything `knit` uses by itself.
        let code = status.code().unwrap_or(i32::MAX);
        Outcome { line: self.line.clone(), code, stdout, stderr }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a `knit` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    line: String,
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// The same, having succeeded.
    ///
    /// # Panics
    /// When it did not; the message shows the whole conversation.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> Self {
        self.ended(0)
    }

    /// The same, having ended with `code`.
    ///
    /// # Panics
    /// When it ended otherwise; the message shows the whole conversation.
    #[must_use]
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert!(self.code == code, "expected the exit code {code} of\n{self}");
        self
    }

    /// The same, having told `text` on standard error.
    ///
    /// # Panics
    /// When it did not; the message shows the whole conversation.
    #[must_use]
    #[track_caller]
    pub fn tells(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} on the standard error of\n{self}");
        self
    }

    /// The same, having printed `text` on standard output.
    ///
    /// # Panics
    /// When it did not; the message shows the whole conversation.
    #[must_use]
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "expected {text:?} on the standard output of\n{self}");
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is not; the message shows the whole conversation.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in the output of\n{self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "$ {}\n{}", self.line, self.stdout)?;
        write!(f, "standard error:\n{}\nexit code {}", self.stderr, self.code)
    }
}

/// A thread that reads a stream to its end, so that its writer never waits.
#[derive(Debug)]
struct Listener {
    heard: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    fn to(mut stream: impl Read + Send + 'static) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            let mut piece = [0; 8192];
            while let Ok(read @ 1..) = stream.read(&mut piece) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..read]);
            }
        });
        Self { heard, thread: Some(thread) }
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn all(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.heard()
    }
}
