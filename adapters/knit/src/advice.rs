//! The one place that turns what went wrong into what a person reads: a headline, its causes, and
//! what to do next.

mod administration;
mod refused;

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::archive::unpack::UnpackError;
use crate::audit::{self, Source};
use crate::error::{Ask, Error, Subject};
use crate::exit::ExitStatus;
use crate::pasted;
use crate::plan::template::image::ImageError;
use crate::profile::{self, ProfileError};

/// A failure, told.
#[derive(Debug)]
pub(crate) struct Advice {
    /// What did not work, in one line.
    pub(crate) headline: String,
    /// What the server says about it, line by line.
    pub(crate) explanation: Vec<String>,
    /// Why, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to try.
    pub(crate) hints: Vec<String>,
    /// How `knit` ends.
    pub(crate) status: ExitStatus,
}

impl Advice {
    /// What to tell about `error`, which ended the command `words`, such as `data find`.
    pub(crate) fn about(error: &Error, words: &str) -> Self {
        Self {
            headline: error.to_string(),
            explanation: explanation(error),
            causes: causes(error),
            hints: if is_of_a_full_disk(error) { vec![MAKE_ROOM.to_owned()] } else { hints(error, words) },
            status: status(error),
        }
    }

    /// The text for standard error; empty when there is nothing to tell.
    pub(crate) fn render(&self) -> String {
        if self.status == ExitStatus::BrokenPipe {
            return String::new();
        }
        let mut text = format!("error: {}\n", self.headline);
        for line in &self.explanation {
            let _ = writeln!(text, "  {line}");
        }
        for cause in &self.causes {
            let _ = writeln!(text, "  caused by: {}", cause.replace('\n', "\n    "));
        }
        if !self.hints.is_empty() {
            text.push('\n');
        }
        for hint in &self.hints {
            let _ = writeln!(text, "hint: {hint}");
        }
        text
    }
}

fn status(error: &Error) -> ExitStatus {
    match error {
        Error::Usage(_) | Error::NoSuchCommand { .. } => ExitStatus::Usage,
        Error::Unreachable { .. } | Error::NoSocket { .. } | Error::ConnectionLost { .. } => ExitStatus::Unreachable,
        Error::Refused(refusal) if refusal.is_of_a_stranger() => ExitStatus::Failure,
        Error::Refused(refusal) if refusal.status == 404 => ExitStatus::NotFound,
        Error::Refused(refusal) if refusal.status == 409 => ExitStatus::Conflict,
        Error::TooManyRuns { .. } => ExitStatus::Conflict,
        Error::RunsFailed { .. } => ExitStatus::RunFailed,
        Error::NotInTime { .. } => ExitStatus::NotInTime,
        Error::NotWhole(_)
        | Error::SentNotWhole(_)
        | Error::NotWholeIn { .. }
        | Error::FoundBroken { .. }
        | Error::LogNotWhole { .. }
        | Error::DamagedArchive { .. } => ExitStatus::NotWhole,
        Error::Signing(error) => error.status(),
        Error::Interrupted | Error::Cancelled { by_ctrl_c: true, .. } => ExitStatus::Interrupted,
        Error::Output(source) if source.kind() == io::ErrorKind::BrokenPipe => ExitStatus::BrokenPipe,
        Error::Refused(_)
        | Error::Profile(_)
        | Error::Unintelligible { .. }
        | Error::File { .. }
        | Error::Yaml { .. }
        | Error::EmptyPlan { .. }
        | Error::MisspeltPlan { .. }
        | Error::Image { .. }
        | Error::Ambiguous { .. }
        | Error::NothingToPush
        | Error::NoPast
        | Error::OtherLog { .. }
        | Error::OtherLogOfRun { .. }
        | Error::Unable { .. }
        | Error::UnwritableTag { .. }
        | Error::Pack { .. }
        | Error::Untagged { .. }
        | Error::Unpack { .. }
        | Error::Checksum { .. }
        | Error::NoChecksum { .. }
        | Error::Differs { .. }
        | Error::Cancelled { by_ctrl_c: false, .. }
        | Error::NotRebuilt { .. }
        | Error::NotArchived { .. }
        | Error::NotTaken { .. }
        | Error::NoEnd { .. }
        | Error::NotWell { .. }
        | Error::Declined { .. }
        | Error::Extension { .. }
        | Error::Output(_) => ExitStatus::Failure,
    }
}

/// What the server says; of a Data that could not be tagged, what it says about the tags; of a file, what is
/// wrong with it.
fn explanation(error: &Error) -> Vec<String> {
    if let Error::MisspeltPlan { keys: lines, .. } | Error::Ambiguous { ids: lines, .. } = error {
        return lines.clone();
    }
    if let Error::TooManyRuns { candidates, .. } = error {
        return candidates.iter().map(|(path, count)| format!("Data that fit {path}: {count}")).collect();
    }
    let refused = if let Error::Untagged { source, .. } = error { source } else { error };
    let Error::Refused(refusal) = refused else { return Vec::new() };
    refusal.advice.iter().filter(|line| !refused::shows_as_it_was(line)).cloned().collect()
}

/// The chain of sources; texts that only repeat what was already said are left out.
fn causes(error: &Error) -> Vec<String> {
    if let Error::Refused(refusal) = error {
        return refusal.cause.clone().into_iter().collect();
    }
    let mut told = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(source) = next {
        let text = source.to_string();
        if !told.contains(&text) {
            causes.push(text.clone());
        }
        told = text;
        next = source.source();
    }
    if matches!(error, Error::Unreachable { .. } | Error::NoSocket { .. } | Error::ConnectionLost { .. }) {
        // The libraries in between only say that they did not get through either.
        causes.drain(..causes.len().saturating_sub(1));
    }
    causes
}

fn hints(error: &Error, words: &str) -> Vec<String> {
    let hint = |text: &str| vec![text.to_owned()];
    match error {
        Error::Usage(_) => vec![format!("`knit {words} --help` explains the command")],
        Error::NoSuchCommand { .. } => hint("`knit --help` lists the commands"),
        Error::Refused(refusal) => refused::hints(refusal, words),
        Error::Unreachable { by_default, .. } => unreachable_hints(error, *by_default),
        Error::NoSocket { .. }
        | Error::Differs { .. }
        | Error::Cancelled { .. }
        | Error::NotRebuilt { .. }
        | Error::NotArchived { .. }
        | Error::DamagedArchive { .. }
        | Error::FoundBroken { .. }
        | Error::LogNotWhole { .. }
        | Error::NotTaken { .. }
        | Error::NoEnd { .. } => administration::hints(error),
        Error::ConnectionLost { ask: Ask { subject: Subject::Projection(_), .. }, .. } => administration::hints(error),
        Error::ConnectionLost { ask, .. } if ask.is_change => {
            hint("nothing is known about the outcome; look before trying again")
        }
        Error::ConnectionLost { .. } => hint("try again"),
        Error::Unintelligible { .. } => hint(NO_KNITFAB),
        Error::Profile(problem) => profile_hints(problem),
        Error::Untagged { knit_id, change, .. } => {
            let (tags, knit_id) = (pasted::options("--add", &change.add), pasted::word(knit_id));
            vec![format!("tag it with `knit data tag{tags} {knit_id}`; pushing again would make a second Data")]
        }
        Error::Checksum { .. } | Error::NoChecksum { .. } => hint("nothing was kept; pull it again"),
        Error::Unpack { knit_id, .. } => {
            vec![format!("`knit data pull {}` without `-x` saves the archive as it is", pasted::word(knit_id))]
        }
        Error::Yaml { source, example, .. } => yaml_hints(&source.to_string(), example),
        Error::MisspeltPlan { .. } => {
            hint("a Plan cannot be changed once it is registered: correct the file and apply it again")
        }
        Error::Image { source: ImageError::Several { .. } | ImageError::Unknown { .. }, .. } => {
            hint("name one of them: `knit plan template --input ARCHIVE IMAGE:TAG`")
        }
        Error::Image { .. } => hint("an archive is written by `docker save IMAGE`; `--scratch` needs none"),
        Error::Ambiguous { .. } => hint("type more of it"),
        Error::TooManyRuns { .. } => hint(
            "every combination of the Data makes a Run: narrow the tags of the inputs, or allow more: `--max-runs`",
        ),
        Error::RunsFailed { run_ids } => run_ids.iter().map(|id| of_ended(id)).collect(),
        Error::NotWhole(flaw) => vec![audit::hint(flaw, Source::Server)],
        Error::SentNotWhole(flaw) | Error::NotWholeIn { flaw, .. } => vec![audit::hint(flaw, Source::Files)],
        Error::Signing(error) => vec![error.hint()],
        Error::NotInTime { longer, .. } => vec![format!("ask again, or wait longer, such as `--timeout {longer}`")],
        Error::Unable { .. } => hint("`knitd` is a server that can"),
        Error::NoPast => hint("leave out `--as-of`; `knitd` is a server that keeps the past"),
        Error::OtherLog { .. } => hint("`knit events` tells from the beginning what the log holds now"),
        Error::OtherLogOfRun { .. } => hint("the same command prints the log of the present attempt"),
        Error::NothingToPush => hint("nothing was uploaded; look at how the sources are written"),
        Error::UnwritableTag { .. } => hint("nothing was uploaded or changed; write the tag without them"),
        Error::EmptyPlan { path } if path.as_os_str() == "-" => {
            hint("`knit plan template --scratch` writes one to begin with")
        }
        Error::EmptyPlan { path } => {
            vec![format!("`knit plan template --scratch > {}` writes one to begin with", shell_word(path))]
        }
        Error::File { path, source, doing } => file_hints(doing, path, source),
        Error::Pack { source_path, source } => pack_hints(source_path, source),
        // What to do stands beside each thing.
        Error::NotWell { .. }
        | Error::Declined { .. }
        | Error::Extension { .. }
        | Error::Output(_)
        | Error::Interrupted => Vec::new(),
    }
}

fn of_ended(run_id: &str) -> String {
    format!("`knit run show {}` says what became of it", pasted::word(run_id))
}

/// Nobody was told a server if the address is the one that is taken `by_default`.
fn unreachable_hints(error: &Error, by_default: bool) -> Vec<String> {
    let says = |word: &str| causes(error).iter().any(|cause| cause.contains(word));
    let hint = if by_default {
        return vec![
            "start the server on this machine with `knitd`".to_owned(),
            "or name another one: `--server URL`, the variable KNIT_SERVER, or `knit init KNIT_PROFILE_FILE`"
                .to_owned(),
        ];
    } else if says("certificate") {
        "the profile's `cert.ca` must name the authority that vouches for the server; ask your administrator"
    } else if says("InvalidContentType") {
        "what answers there does not speak https: write the address with http://"
    } else {
        "check that it runs there, and the address: `--server`, KNIT_SERVER or the profile names it"
    };
    vec![hint.to_owned()]
}

/// Where something answers that is none of ours.
const NO_KNITFAB: &str = "is this address (`--server`, KNIT_SERVER, or the profile's `apiRoot`) the API of Knitfab? It usually ends in `/api`";

/// What beginners in YAML stumble over. The texts are those of the library, which has no codes for them.
fn yaml_hints(cause: &str, example: &str) -> Vec<String> {
    let hint = if cause.contains("cannot start any token") {
        "YAML is indented by spaces, never by tabs; a text that begins with a sign such as `@` stands in quotes"
    } else if cause.contains("struct OnNode") {
        "`on_node` has the keys `may`, `prefer` and `must`, each with a list of \"label=value\""
    } else if cause.contains("expected a sequence") {
        "a list is written as [\"one\", \"two\"], or each item on a line of its own that begins with `- `"
    } else {
        example
    };
    vec![hint.to_owned()]
}

/// What is done about a disk that has no room, or not for this user.
const MAKE_ROOM: &str = "the disk is full: make room, or write elsewhere";

/// Whether something could not be written here for want of room.
fn is_of_a_full_disk(error: &Error) -> bool {
    let (Error::File { source, .. } | Error::Unpack { source: UnpackError::Io(source), .. } | Error::Output(source)) =
        error
    else {
        return false;
    };
    matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Where to look when `doing` something with a file is impossible.
fn file_hints(doing: &str, path: &Path, source: &io::Error) -> Vec<String> {
    let above = path.ancestors().skip(1).find(|above| above.is_dir()).unwrap_or(Path::new("."));
    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    let kind = source.kind();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let hint = if kind == io::ErrorKind::NotADirectory {
        format!("`ls -ld {}`: it is none, and one is needed", shell_word(path))
    } else if kind == io::ErrorKind::NotFound && doing == "read" {
        format!("`ls {}` shows what is there", shell_word(above))
    } else if kind == io::ErrorKind::NotFound && !parent.exists() {
        let parent = shell_word(parent);
        format!("there is no directory `{parent}`: `mkdir -p {parent}` makes it, or write elsewhere")
    } else if kind == io::ErrorKind::AlreadyExists {
        "nothing is replaced: name another file, or move that one away".to_owned()
    } else if matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) {
        let place = if path.exists() { path } else { above };
        format!("`ls -ld {}` shows who may", shell_word(place))
    } else if kind == io::ErrorKind::IsADirectory {
        format!("name a file in it: `ls {}`", shell_word(path))
    } else if kind == io::ErrorKind::InvalidData {
        format!("it is no text: `file {}` tells what it is", shell_word(path))
    } else {
        return Vec::new();
    };
    vec![hint]
}

/// Which of the files below `source_path` are in the way.
fn pack_hints(source_path: &Path, source: &io::Error) -> Vec<String> {
    let kind = source.kind();
    let below = shell_word(source_path);
    if kind == io::ErrorKind::NotFound {
        vec![format!("`find {below} -xtype l` lists the links that lead nowhere")]
    } else if kind == io::ErrorKind::PermissionDenied {
        vec![format!("`find {below} ! -readable` lists what may not be read")]
    } else {
        Vec::new()
    }
}

/// A path as it can be pasted.
fn shell_word(path: &Path) -> String {
    pasted::word(&path.to_string_lossy())
}

fn profile_hints(problem: &ProfileError) -> Vec<String> {
    match problem {
        ProfileError::Unregistered { known, .. } => {
            let mut hints = Vec::new();
            if !known.is_empty() {
                hints.push(format!("there are these: {}", known.join(", ")));
            }
            hints.push(
                "register it with `knit init KNIT_PROFILE_FILE`, using the file your administrator gave you".to_owned(),
            );
            hints
        }
        ProfileError::BadServer { server } => {
            let with_scheme = format!("http://{server}");
            let is_address = !server.contains("://") && profile::is_address(&with_scheme);
            vec![format!("write it like `{}`", if is_address { &with_scheme } else { "http://127.0.0.1:30803" })]
        }
        ProfileError::BadApiRoot { .. } | ProfileError::BadCertificate { .. } => {
            vec!["ask your administrator for a new profile and register it with `knit init`".to_owned()]
        }
        ProfileError::Unreadable { path, source } => file_hints("read", path, source),
        ProfileError::NotYaml { .. } => {
            vec!["a profile begins with `apiRoot: https://SERVER/api`; ask your administrator for the file".to_owned()]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_it_is_said_where_to_look() {
        let there = tempfile::tempdir().unwrap();
        let (missing, above) = (there.path().join("a b"), there.path().display().to_string());
        let hint = |doing, kind: io::ErrorKind| file_hints(doing, &missing, &kind.into()).join("\n");
        assert_eq!(hint("read", io::ErrorKind::NotFound), format!("`ls {above}` shows what is there"));
        assert_eq!(hint("write", io::ErrorKind::PermissionDenied), format!("`ls -ld {above}` shows who may"));
        assert_eq!(hint("read", io::ErrorKind::IsADirectory), format!("name a file in it: `ls '{above}/a b'`"));
        assert_eq!(hint("read", io::ErrorKind::TimedOut), "");
        let below_it = file_hints("write", &missing.join("file"), &io::ErrorKind::NotFound.into()).join("\n");
        assert!(below_it.starts_with("there is no directory `'") && below_it.contains("`mkdir -p '"), "{below_it}");
        let denied = pack_hints(Path::new("corpus"), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(denied, ["`find corpus ! -readable` lists what may not be read"]);
    }
    use crate::client::Client;
    use crate::profile::Server;
    use crate::session::block_on;

    #[test]
    fn where_nothing_is_configured_and_no_server_runs_a_person_learns_how_to_start_one() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let root = format!("http://{closed}/api").parse().unwrap();
        let client = Client::new(Server { root, ca_pem: None, by_default: true }).unwrap();
        let find = Ask::question("find", Subject::AnyData);
        let asking = async { client.get_bytes(&find, &["data"], Vec::new()).await.map(drop) };
        let advice = Advice::about(&block_on(asking).unwrap_err(), "data find");
        assert_eq!(advice.status, ExitStatus::Unreachable);
        let expected = format!(
            "error: cannot reach the server at http://{closed}/api
  caused by: Connection refused (os error 111)

hint: start the server on this machine with `knitd`
hint: or name another one: `--server URL`, the variable KNIT_SERVER, or `knit init KNIT_PROFILE_FILE`
"
        );
        assert_eq!(advice.render(), expected);
    }
}
