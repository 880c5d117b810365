//! A clock that a test turns under a running program, as an administrator or a broken time server turns the clock
//! of a machine.
//!
//! The programs know nothing of it: `libfaketime` stands between them and the C library. What runs by the clock
//! that only counts on, such as time-outs, is not touched, as it is not when a real clock is set.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What a person does when the library is missing.
const ADVICE: &str = "libfaketime is not installed: run `apt-get install libfaketime`";

/// A clock; it shows the true time until it is turned.
#[derive(Debug)]
pub struct Clock {
    directory: TempDir,
    library: PathBuf,
}

impl Clock {
    /// A clock that shows the true time.
    ///
    /// # Panics
    /// When libfaketime is not installed (the message names the line that installs it).
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("knit-clock-").tempdir().expect("a directory can be made");
        // A database server that runs as another user looks at it too.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let clock = Self { directory, library: library().expect(ADVICE) };
        clock.show(0);
        clock
    }

    /// Shows the true time and so many seconds, which may be negative, from now on.
    ///
    /// # Panics
    /// When that cannot be written down.
    pub fn show(&self, seconds: i64) {
        let new = self.directory.path().join("new");
        fs::write(&new, format!("{seconds:+}\n")).expect("a file can be written");
        fs::rename(new, self.file()).expect("a file can be renamed");
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("time")
    }

    /// What a program must find in its environment to go by this clock.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ]
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// The library for programs with several threads.
fn library() -> Option<PathBuf> {
    let architectures = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let places = architectures.chain([Path::new("/usr/lib").to_owned()]);
    places.map(|place| place.join("faketime/libfaketimeMT.so.1")).find(|library| library.is_file())
}
