//! A user at work: a server, a `knit`, and the few things that users do, in one word each.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::cli::{Knit, Outcome};
use crate::plans::PlanFile;
use crate::server::{Server, Setup};
use crate::wait::wait_for;

/// Statuses that a Run does not leave by itself.
const ENDS: [&str; 3] = ["done", "failed", "invalidated"];

/// A server and its one user.
#[derive(Debug)]
pub struct Workshop {
    /// The server.
    pub server: Server,
    files: AtomicU64,
}

impl Workshop {
    /// A workshop on the embedded default.
    ///
    /// # Panics
    /// When the server does not become ready.
    #[must_use]
    #[track_caller]
    pub fn open() -> Self {
        Self::with(Setup::new())
    }

    /// A workshop whose server is set up so.
    ///
    /// # Panics
    /// When the server does not become ready.
    #[must_use]
    #[track_caller]
    pub fn with(setup: Setup) -> Self {
        Self { server: setup.start(), files: AtomicU64::new(0) }
    }

    /// Runs `knit`, which must succeed.
    ///
    /// # Panics
    /// When it does not; the message shows the whole conversation.
    #[track_caller]
    pub fn knit(&self, words: &[&str]) -> Outcome {
        self.user().run(words).ok()
    }

    /// Runs `knit`, which must end with `code`.
    ///
    /// # Panics
    /// When it does not; the message shows the whole conversation.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &[&str]) -> Outcome {
        self.user().run(words).ended(code)
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> Knit {
        self.server.knit()
    }

    /// A path on the user's desk at which nothing is yet.
    #[must_use]
    pub fn new_path(&self, name: &str) -> PathBuf {
        self.server.desk().join(format!("{}-{name}", self.files.fetch_add(1, Ordering::Relaxed)))
    }

    /// Pushes a directory of `files` (names and contents) with `tags`; answers the id of the Data.
    ///
    /// # Panics
    /// When it cannot be pushed.
    #[track_caller]
    pub fn push(&self, files: &[(&str, &str)], tags: &[&str]) -> String {
        let directory = self.new_path("data");
        fs::create_dir(&directory).expect("a directory can be made");
        for (name, content) in files {
            fs::write(directory.join(name), content).expect("a file can be written");
        }
        self.push_directory(&directory, tags)
    }

    /// Pushes a directory with `tags`; answers the id of the Data.
    ///
    /// # Panics
    /// When it cannot be pushed.
    #[track_caller]
    pub fn push_directory(&self, directory: &Path, tags: &[&str]) -> String {
        let mut words = vec!["data", "push"];
        words.extend(tags.iter().flat_map(|tag| ["-t", tag]));
        words.push(directory.to_str().expect("paths of tests are text"));
        id_of(&self.knit(&words).json(), "knitId")
    }

    /// Pulls a Data and unpacks it; answers the directory with its files.
    ///
    /// # Panics
    /// When it cannot be pulled.
    #[must_use]
    #[track_caller]
    pub fn pull(&self, knit_id: &str) -> PathBuf {
        let place = self.new_path("pulled");
        let _ = self.knit(&["data", "pull", "-x", knit_id, place.to_str().expect("paths of tests are text")]);
        place.join(knit_id)
    }

    /// Registers a Plan; answers its id.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn apply(&self, plan: &PlanFile) -> String {
        id_of(&self.knit(&["plan", "apply", &self.written(plan)]).json(), "planId")
    }

    /// Writes a Plan file to the desk; answers its path.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn written(&self, plan: &PlanFile) -> String {
        let file = self.new_path("plan.yaml");
        fs::write(&file, plan.json().to_string()).expect("a file can be written");
        file.to_str().expect("paths of tests are text").to_owned()
    }

    /// The Run as it is now.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn run(&self, run_id: &str) -> Value {
        let response = self.server.http().get(&format!("/api/runs/{run_id}"));
        assert_eq!(response.status, 200, "Run {run_id} can be read: {}", response.text());
        response.json()
    }

    /// The Data as it is now, if there is one.
    ///
    /// # Panics
    /// When the server does not answer with a list.
    #[must_use]
    #[track_caller]
    pub fn data(&self, knit_id: &str) -> Option<Value> {
        let found = self.server.http().get(&format!("/api/data?tag=knit%23id%3A{knit_id}")).json();
        found.as_array().expect("finding answers a list").first().cloned()
    }

    /// The Runs of a Plan as they are now.
    ///
    /// # Panics
    /// When the server does not answer with a list.
    #[must_use]
    #[track_caller]
    pub fn runs_of(&self, plan_id: &str) -> Vec<Value> {
        let found = self.server.http().get(&format!("/api/runs?plan={plan_id}")).json();
        found.as_array().expect("finding answers a list").clone()
    }

    /// Waits until a Plan has exactly one Run, and answers its id.
    ///
    /// # Panics
    /// When it never has one, or has more.
    #[must_use]
    #[track_caller]
    pub fn the_run_of(&self, plan_id: &str) -> String {
        wait_for(&format!("Plan {plan_id} to have a Run"), || {
            let runs = self.runs_of(plan_id);
            assert!(runs.len() < 2, "Plan {plan_id} has more than one Run: {runs:#?}");
            runs.first().map(|run| id_of(run, "runId"))
        })
    }

    /// Waits until a Run has `status`, and answers it.
    ///
    /// # Panics
    /// When it never has, or came to another end.
    #[track_caller]
    pub fn reaches(&self, run_id: &str, status: &str) -> Value {
        wait_for(&format!("Run {run_id} to be {status}"), || {
            let run = self.run(run_id);
            let now = run["status"].as_str().expect("a status is a text");
            assert!(
                now == status || !ENDS.contains(&now),
                "expected a {status} Run, but it came to another end: {run:#}"
            );
            (now == status).then_some(run)
        })
    }

    /// Waits until the only Run of a Plan has `status`, and answers it.
    ///
    /// # Panics
    /// When it never has, or came to another end, or there are several.
    #[track_caller]
    pub fn only_run_reaches(&self, plan_id: &str, status: &str) -> Value {
        self.reaches(&self.the_run_of(plan_id), status)
    }

    /// The log of a Run, as far as it is stored.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    #[track_caller]
    pub fn log_of(&self, run_id: &str) -> String {
        self.knit(&["run", "show", "--log", run_id]).stdout
    }
}

/// The id in the field `name` of a Data, Plan or Run.
///
/// # Panics
/// When there is none.
#[must_use]
#[track_caller]
pub fn id_of(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is a text in {value:#}")).to_owned()
}

/// The Data that a Run made at the output `path`.
///
/// # Panics
/// When there is none.
#[must_use]
#[track_caller]
pub fn output_of(run: &Value, path: &str) -> String {
    let outputs = run["outputs"].as_array().expect("a Run has a list of outputs");
    let output = outputs.iter().find(|output| output["path"] == path);
    id_of(output.unwrap_or_else(|| panic!("an output at {path} in {run:#}")), "knitId")
}

/// Everything in a directory: paths, whether they can be executed, and contents; links as their targets. Two
/// directories are the same for a Worker when these are equal.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn tree(directory: &Path) -> Vec<(PathBuf, bool, Vec<u8>)> {
    let mut entries = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a directory can be read") {
            let path = entry.expect("an entry can be read").path();
            let kind = fs::symlink_metadata(&path).expect("an entry can be looked at");
            let name = path.strip_prefix(directory).expect("it lies below").to_owned();
            if kind.is_symlink() {
                let target = fs::read_link(&path).expect("a link can be read");
                entries.push((name, false, target.into_os_string().into_encoded_bytes()));
            } else if kind.is_dir() {
                open.push(path);
            } else {
                let content = fs::read(&path).expect("a file can be read");
                entries.push((name, kind.permissions().mode() & 0o100 != 0, content));
            }
        }
    }
    entries.sort();
    entries
}
