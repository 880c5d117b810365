//! What a state directory is called among those of other servers.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::system::uname;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Bytes of the hash that a name keeps; no two places meet by chance.
const HASH_BYTES: usize = 8;

/// The name of `state_dir`, whose lock is held. It is made from a random name that is kept inside, and from where
/// the directory lies: a copy is another place, and so is a directory of the same path on another machine.
pub(super) fn name_of(state_dir: &Path) -> io::Result<String> {
    let uname = uname();
    let host = uname.nodename();
    let mut hash = Sha256::new();
    for part in [random_name(state_dir)?.as_bytes(), host.to_bytes(), state_dir.as_os_str().as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(format!("{}-{}", host.to_string_lossy(), hex::encode(&hash.finalize()[..HASH_BYTES])))
}

/// The random name inside; it is made by whoever comes first, whole or not at all.
fn random_name(state_dir: &Path) -> io::Result<String> {
    let path = state_dir.join("place");
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (name, new) = (Uuid::new_v4().to_string(), state_dir.join("place.new"));
            write_durably(&new, &name).inspect_err(|_| {
                // A part of a name is of no use, and why there is no more of it is said.
                let _ = fs::remove_file(&new);
            })?;
            fs::rename(new, path)?;
            Ok(name)
        }
        read => read,
    }
}

fn write_durably(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_keeps_its_name_and_a_copy_is_another_place() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = name_of(here.path()).unwrap();
        assert_eq!(name_of(here.path()).unwrap(), name);
        fs::copy(here.path().join("place"), there.path().join("place")).unwrap();
        assert_ne!(name_of(there.path()).unwrap(), name);
    }
}
