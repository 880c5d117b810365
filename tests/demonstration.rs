//! `make demo` without the build: it works from nothing, shows what it promises, and leaves nothing behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use knit_tests::wait::{PATIENCE, wait_until};
use knit_tests::{processes, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The demonstration as a user in a fresh shell starts it, with its scratch files under `scratch`.
fn start(scratch: &Path, output: &Path) -> Child {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the kit lies below the root");
    let mut command = Command::new("sh");
    command.arg(root.join("docs/demo/run.sh")).arg(program::path("knit").parent().expect("it lies in a directory"));
    command.env_clear().env("PATH", std::env::var_os("PATH").expect("a test has a PATH")).env("TMPDIR", scratch);
    let output = fs::File::create(output).expect("a file can be made");
    command.stdin(Stdio::null()).stdout(output.try_clone().expect("a file can be shared")).stderr(output);
    command.spawn().expect("a shell can be started")
}

/// The demonstration is dozens of commands and some Runs, of which each may take its time.
const DEMONSTRATION_MAX: Duration = PATIENCE.saturating_mul(5);

fn code_of(mut demonstration: Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(ended) = demonstration.try_wait().expect("a child can be waited for") {
            return ended.code();
        }
        assert!(begun.elapsed() < DEMONSTRATION_MAX, "the demonstration does not end");
        thread::sleep(Duration::from_millis(50));
    }
}

fn left_in(scratch: &Path) -> Vec<PathBuf> {
    fs::read_dir(scratch).expect("it is there").map(|entry| entry.expect("it can be read").path()).collect()
}

#[test]
fn the_demonstration_learns_two_models_and_shows_where_the_better_one_came_from() {
    let scratch = tempfile::tempdir().unwrap();
    let output = tempfile::NamedTempFile::new().unwrap();
    let code = code_of(start(scratch.path(), output.path()));
    let shown = fs::read_to_string(output.path()).unwrap();
    assert_eq!(code, Some(0), "{shown}");
    for text in
        ["$ knit data push ", "$ knit plan apply ", "$ knit run find", "$ knit data pull -x ", "$ knit data lineage "]
    {
        assert!(shown.contains(text), "{text:?} is shown in\n{shown}");
    }
    assert_eq!(shown.matches("  accuracy 0.").count(), 2, "two settings make two metrics:\n{shown}");
    let lineage = shown.split("$ knit data lineage ").nth(1).expect("the lineage comes last");
    for text in ["type:measurements", "type:settings", "type:model", "type:metric"] {
        assert!(lineage.contains(text), "{text:?} is in the lineage:\n{lineage}");
    }
    assert!(left_in(scratch.path()).is_empty(), "left behind: {:?}", left_in(scratch.path()));
}

#[test]
fn an_interrupted_demonstration_leaves_nothing_behind() {
    let scratch = tempfile::tempdir().unwrap();
    let output = tempfile::NamedTempFile::new().unwrap();
    let demonstration = start(scratch.path(), output.path());
    wait_until("the first Plan to be applied", || {
        fs::read_to_string(output.path()).is_ok_and(|shown| shown.contains("knit plan apply"))
    });
    kill(Pid::from_raw(i32::try_from(demonstration.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(code_of(demonstration), Some(128 + 15), "it says how it ended");
    assert!(left_in(scratch.path()).is_empty(), "left behind: {:?}", left_in(scratch.path()));
    assert_eq!(processes::all_of(scratch.path()), [], "neither the server nor a Worker");
}
