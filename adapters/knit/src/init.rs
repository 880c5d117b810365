//! `knit init`.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::Error;
use crate::profile::{self, Profile, ProfileError};
use crate::session::Session;

/// Register a profile and bind the working directory to it
///
/// The profile goes into the profile store under the name of `--profile`, and that name into
/// `.knitprofile` in the working directory. No request is made.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// File with one profile, as your administrator handed it out
    #[arg(value_name = "KNIT_PROFILE_FILE")]
    file: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<(), Error> {
    let profile = Profile::read(&arguments.file)?;
    let (name, _) = profile::profile_name(&session.globals, &session.environment)?;
    let store = profile::store_path(&session.globals, &session.environment);
    let mut profiles = profile::read_store(&store)?;
    let not_yaml = |source| ProfileError::NotYaml { path: store.clone(), source };
    let replaced = profiles.insert(name.as_str().into(), serde_yaml_ng::to_value(&profile).map_err(not_yaml)?);
    let text = serde_yaml_ng::to_string(&profiles).map_err(not_yaml)?;
    make_private_directory(&store)?;
    // Both are written before one is replaced: a disk without room for the second changes nothing.
    let binding = session.environment.cwd.join(profile::BINDING_FILE);
    let written = [Written::private(store, text.as_bytes())?, Written::private(binding, name.as_bytes())?];
    written.into_iter().try_for_each(Written::replace)?;
    let done = if replaced.is_some() { "replaced" } else { "registered" };
    session.log.line(format_args!("profile `{name}` is {done}: {}", profile.api_root));
    Ok(())
}

fn make_private_directory(store: &Path) -> Result<(), Error> {
    match store.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(Error::file("create", directory)),
        None => Ok(()),
    }
}

/// What a file is to hold, readable by its owner only, durable under another name; removed unless it replaces the file.
struct Written {
    path: PathBuf,
    file: tempfile::NamedTempFile,
}

impl Written {
    fn private(path: PathBuf, content: &[u8]) -> Result<Self, Error> {
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
            file.write_all(content)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        match write() {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(Error::file("write", path)(error)),
        }
    }

    /// Replaces the file in one step: whoever reads it meanwhile, or after a crash, finds the old content or the new one.
    fn replace(self) -> Result<(), Error> {
        let Self { path, file } = self;
        file.persist(&path).map_err(|failed| Error::file("write", path)(failed.error)).map(drop)
    }
}
