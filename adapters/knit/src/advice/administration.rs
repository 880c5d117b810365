//! What to try when `knit admin` comes to nothing.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::{fs, io};

use super::shell_word;
use crate::error::{Error, Subject};

/// What a system says of a full disk, on the wire as well.
const FULL: &str = "No space left on device";
/// What a server says of a history whose beginning is missing.
const A_PART: &str = "begins behind position";

/// What to try; nothing for what has nothing to do with administration.
pub(super) fn hints(error: &Error) -> Vec<String> {
    if let Error::NoSocket { path, source } = error {
        return socket_hints(path, source);
    }
    if let Error::Differs { projection } = error {
        let replace = format!("`knit admin rebuild-projection --replace {projection}`");
        return vec![
            format!("{replace} replaces the live one, keeps it, and saves the rebuilt one"),
            "keep what was printed: one of the two is wrong, and that is a mistake of the program".to_owned(),
        ];
    }
    if let Error::Cancelled { projection, kept, .. } = error {
        let again = if *kept { "go on from there" } else { "begin again" };
        return vec![format!("{again}: `knit admin rebuild-projection {projection}`")];
    }
    if let Error::NotRebuilt { .. } = error {
        return vec!["`knit admin projections` shows how they are".to_owned()];
    }
    if let Error::NotArchived { why } = error {
        if why.contains(FULL) {
            return vec!["make room on that disk, or archive elsewhere: what was written is there".to_owned()];
        }
        return vec!["what was written is there: begin again once the reason is gone".to_owned()];
    }
    if let Error::DamagedArchive { is_replaced: true, .. } = error {
        let why = "the archive is in order again; find out what damaged it, and look at your copies of it";
        return vec![why.to_owned()];
    }
    if let Error::DamagedArchive { directory, .. } = error {
        let directory = shell_word(directory);
        return vec![format!("move it out of {directory}, or put a good copy in its place, and archive again")];
    }
    if let Error::FoundBroken { .. } = error {
        let copy = "export it again, or take another copy; `knit audit verify FILE` says whether that one is whole";
        return vec![format!("nothing of it was kept: {copy}")];
    }
    if let Error::NotTaken { why, .. } = error
        && why.contains(A_PART)
    {
        return vec![
            "name what goes before as well, such as `knit audit import ARCHIVE REST`; nothing was kept".to_owned(),
        ];
    }
    if let Error::LogNotWhole { .. } = error {
        return vec![
            "`knit audit verify` reads all of it, and says what is wrong; nothing has changed".to_owned(),
            "keep the database as it is, for evidence, and bring back a copy that is whole".to_owned(),
        ];
    }
    if let Error::NotTaken { .. } = error {
        return vec!["nothing of it was kept, and the log of the server is as it was".to_owned()];
    }
    if let Error::NoEnd { ask } | Error::ConnectionLost { ask, .. } = error {
        let hint = if matches!(ask.subject, Subject::Projection(_)) {
            "a rebuild that is broken off has changed nothing: `knit admin projections` shows how they are, and the next one goes on from what was kept"
        } else {
            "the server broke off: begin again once `knit admin doctor` finds it"
        };
        return vec![hint.to_owned()];
    }
    Vec::new()
}

/// Why nobody answers at an administration socket, as the system says it.
fn socket_hints(path: &Path, source: &reqwest::Error) -> Vec<String> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(source);
    let mut kind = None;
    while let Some(error) = next {
        kind = error.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        next = error.source();
    }
    let is_socket = fs::metadata(path).map(|found| found.file_type().is_socket());
    let elsewhere = "name its socket with `--socket`, or its directory with the variable KNITD_STATE_DIR";
    let hint = match kind {
        Some(io::ErrorKind::NotFound) => {
            format!("there is no such socket: does `knitd` run on this machine, and as this user? Else {elsewhere}")
        }
        Some(io::ErrorKind::PermissionDenied) => {
            format!("only the user who runs `knitd` may open it: `ls -ld {}` shows who that is", shell_word(path))
        }
        Some(io::ErrorKind::ConnectionRefused) if matches!(is_socket, Ok(false)) => {
            format!("`{}` is no socket: {elsewhere}", path.display())
        }
        Some(io::ErrorKind::ConnectionRefused) => {
            format!("the server that opened it is gone: start `knitd`, which replaces it; or {elsewhere}")
        }
        _ => format!("`ls -ld {}` shows what is there", shell_word(path)),
    };
    vec![hint]
}
