//! What `knit` takes from the process it runs in; the only place that asks.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::completion;

/// A look at the environment, taken once at the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// What the program was called by: a name, or a path to it.
    pub(crate) called: PathBuf,
    /// The base name of that.
    pub(crate) program: String,
    /// Directory the command is started in; empty if there is none any more.
    pub(crate) cwd: PathBuf,
    /// The user's home directory.
    pub(crate) home: Option<PathBuf>,
    /// `PATH`, for extension commands.
    pub(crate) path: Option<OsString>,
    /// `KNIT_SERVER`, not empty.
    pub(crate) server: Option<String>,
    /// The shell that asks what may stand at the cursor, if one does.
    pub(crate) completes: Option<String>,
    /// Whether `NO_COLOR` is set to something.
    pub(crate) no_color: bool,
}

impl Environment {
    /// Looks around. `program` is the first word of the command line.
    pub(crate) fn capture(program: Option<&OsString>) -> Self {
        let not_empty = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let base_name = program.map(Path::new).and_then(Path::file_name).map(OsStr::to_string_lossy);
        Self {
            called: program.map(PathBuf::from).unwrap_or_default(),
            program: base_name.map_or_else(|| "knit".to_owned(), std::borrow::Cow::into_owned),
            cwd: env::current_dir().unwrap_or_default(),
            home: not_empty("HOME").map(PathBuf::from),
            path: env::var_os("PATH"),
            server: not_empty("KNIT_SERVER").map(|value| value.to_string_lossy().into_owned()),
            completes: not_empty(completion::VARIABLE).map(|value| value.to_string_lossy().into_owned()),
            no_color: not_empty("NO_COLOR").is_some(),
        }
    }

    /// The nearest regular file `name`, from the working directory up to the root.
    pub(crate) fn nearest(&self, name: &str) -> Option<PathBuf> {
        self.cwd.ancestors().map(|directory| directory.join(name)).find(|path| path.is_file())
    }

    /// `path` with a leading `~/` replaced by the home directory.
    pub(crate) fn expand_home(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), &self.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_regular_file_wins_and_directories_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        std::fs::create_dir_all(below.join("knitenv")).unwrap();
        std::fs::write(root.path().join("knitenv"), "").unwrap();
        let environment = Environment { cwd: below, ..Environment::default() };
        assert_eq!(environment.nearest("knitenv"), Some(root.path().join("knitenv")));
        assert_eq!(environment.nearest(".no-such-file-anywhere"), None);
    }

    #[test]
    fn only_a_leading_tilde_is_home() {
        let environment = Environment { home: Some(PathBuf::from("/home/mika")), ..Environment::default() };
        assert_eq!(environment.expand_home(Path::new("~/data")), Path::new("/home/mika/data"));
        assert_eq!(environment.expand_home(Path::new("a/~/b")), Path::new("a/~/b"));
    }
}
