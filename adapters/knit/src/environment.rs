//! What `knit` takes from the process it runs in; the only place that asks.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use knit_schemas::api::ADMIN_SOCKET_FILE;

use crate::completion::{self, AtCursor};

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
    /// Where a server of this user has its administration socket, as far as anything says so.
    pub(crate) admin_socket: Option<PathBuf>,
    /// The shell that asks what may stand at the cursor, if one does.
    pub(crate) completes: Option<String>,
    /// What is at the cursor, where that shell says it in variables.
    pub(crate) at_cursor: AtCursor,
    /// Where this program is, if the system says so.
    pub(crate) executable: Option<PathBuf>,
    /// Whether `NO_COLOR` is set to something.
    pub(crate) no_color: bool,
}

impl Environment {
    /// Looks around. `program` is the first word of the command line.
    pub(crate) fn capture(program: Option<&OsString>) -> Self {
        let not_empty = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| env::var_os(name).unwrap_or_default().to_string_lossy().into_owned();
        let base_name = program.map(Path::new).and_then(Path::file_name).map(OsStr::to_string_lossy);
        Self {
            called: program.map(PathBuf::from).unwrap_or_default(),
            program: base_name.map_or_else(|| "knit".to_owned(), std::borrow::Cow::into_owned),
            cwd: env::current_dir().unwrap_or_default(),
            home: not_empty("HOME").map(PathBuf::from),
            path: env::var_os("PATH"),
            server: not_empty("KNIT_SERVER").map(|value| value.to_string_lossy().into_owned()),
            admin_socket: admin_socket(not_empty),
            completes: not_empty(completion::VARIABLE).map(|value| value.to_string_lossy().into_owned()),
            at_cursor: AtCursor { line: text(completion::LINE_VARIABLE), word: text(completion::WORD_VARIABLE) },
            executable: env::current_exe().ok(),
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

/// Where `knitd` opens its administration socket in such an environment.
fn admin_socket(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name: &str| variable(name).map(PathBuf::from);
    let absolute = |name: &str| path(name).filter(|path| path.is_absolute());
    let data = || absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    let state_dir = || path("KNITD_STATE_DIR").or_else(|| data().map(|data| data.join("knitfab")));
    path("KNITD_ADMIN_SOCKET").or_else(|| state_dir().map(|state_dir| state_dir.join(ADMIN_SOCKET_FILE)))
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
    fn the_socket_is_where_a_server_in_the_same_environment_opens_it() {
        let mut set = Vec::new();
        for (name, value, expected) in [
            ("PATH", "/bin", None),
            ("HOME", "/home/mika", Some("/home/mika/.local/share/knitfab/admin.sock")),
            ("XDG_DATA_HOME", "/data", Some("/data/knitfab/admin.sock")),
            ("KNITD_STATE_DIR", "/var/lib/knitd", Some("/var/lib/knitd/admin.sock")),
            ("KNITD_ADMIN_SOCKET", "/run/knitd.sock", Some("/run/knitd.sock")),
        ] {
            set.push((name, value));
            let found = |wanted: &str| set.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.into());
            assert_eq!(admin_socket(found), expected.map(PathBuf::from), "{set:?}");
        }
    }

    #[test]
    fn only_a_leading_tilde_is_home() {
        let environment = Environment { home: Some(PathBuf::from("/home/mika")), ..Environment::default() };
        assert_eq!(environment.expand_home(Path::new("~/data")), Path::new("/home/mika/data"));
        assert_eq!(environment.expand_home(Path::new("a/~/b")), Path::new("a/~/b"));
    }
}
