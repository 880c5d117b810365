//! A small disk, which only those see who are started on it, and a test through their eyes: no mount can be left
//! behind.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::geteuid;

/// Mounts a disk at a directory and keeps it until the test ends, which closes the standard input.
const KEEP: &str = "mkdir -p \"$1\" && mount -t tmpfs -o \"size=$2\" tmpfs \"$1\" && echo mounted && exec cat";
/// Whoever enters other mounts stands at their root; this goes back to where the program is to be.
const ENTER: &str = "cd \"$1\" && shift && exec \"$@\"";

/// A disk that is mounted.
#[derive(Debug)]
pub struct SmallDisk {
    keeper: Child,
    directory: PathBuf,
}

impl SmallDisk {
    /// Mounts one that holds so many bytes at `directory`, which is made. Whoever is not root needs a user namespace
    /// for it; the Workers of the local runtime need the same.
    ///
    /// # Panics
    /// When that is not possible.
    #[must_use]
    pub fn at(directory: &Path, bytes: u64) -> Self {
        let mut command = Command::new("unshare");
        if !geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "sh", "-c", KEEP, "sh"]).arg(directory).arg(bytes.to_string());
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("`unshare` is there");
        let mut said = [0; "mounted\n".len()];
        keeper.stdout.take().expect("it is a pipe").read_exact(&mut said).expect("a disk can be mounted");
        Self { keeper, directory: directory.to_owned() }
    }

    /// `path` as whoever is on the disk sees it.
    ///
    /// # Panics
    /// When it is not absolute.
    #[must_use]
    pub fn seen(&self, path: &Path) -> PathBuf {
        seen_by(self.keeper.id(), path)
    }

    /// Where it is mounted, as whoever is on it sees it.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.seen(&self.directory)
    }

    /// Calls `program`, at work on it.
    #[must_use]
    pub fn command_on_it(&self, program: &Path) -> Command {
        self.command(program, &self.directory)
    }

    /// Calls `program`, at work in `place`, where the disk is mounted.
    #[must_use]
    pub fn command(&self, program: &Path, place: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.keeper.id().to_string()]);
        if !geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--mount", "sh", "-c", ENTER, "sh"]).arg(place).arg(program);
        command
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// `path` as the process `pid` sees it.
///
/// # Panics
/// When it is not absolute.
#[must_use]
pub fn seen_by(pid: u32, path: &Path) -> PathBuf {
    let root = Path::new("/proc").join(pid.to_string()).join("root");
    root.join(path.strip_prefix("/").expect("scratch directories have absolute names"))
}
