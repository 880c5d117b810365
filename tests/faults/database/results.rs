//! A client that changes results while the database is killed: it pushes, retries and deletes. What it was told is
//! held against what is there afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use knit_tests::archive::{Archive, checksum};
use knit_tests::http::{Client, Response};
use knit_tests::plans::PlanFile;
use knit_tests::wait::{PATIENCE, wait_for, wait_until};
use knit_tests::workshop::{Workshop, id_of, output_of};
use serde_json::{Value, json};

/// What the client does to each of its results, in this order; the last to every other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Push,
    Retry,
    Delete,
}

/// The tag of what the client pushes.
const MINE: &str = "whose:mine";
/// How often the line that names a Data stands in its file: the half of it fills more than one buffer of anything.
const LINES: usize = 20_000;

/// The Plan that makes a result of each Data of the client. A Worker that ran twice would say so twice.
pub(super) fn plan() -> PlanFile {
    PlanFile::shell("echo ran >> /out/life").input("/in", &[MINE]).output("/out", &["is:result"])
}

/// Somebody waits until the client takes a step, and then both go on at once.
#[derive(Debug, Default)]
pub(super) struct Appointment {
    at: Mutex<Option<Step>>,
    kept: Condvar,
}

impl Appointment {
    /// Waits until the client takes the step.
    pub(super) fn wait_for(&self, step: Step) {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        *at = Some(step);
        let waited = self.kept.wait_timeout_while(at, PATIENCE, |at| at.is_some());
        let (at, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*at, None, "waited {} s in vain for the client to come to this step", PATIENCE.as_secs());
    }

    fn takes(&self, step: Step) {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        if *at == Some(step) {
            *at = None;
            self.kept.notify_all();
        }
    }
}

/// What the client was told of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It did not give the command.
    NotAsked,
    /// It is done.
    Done,
    /// Nobody can say.
    Unknown,
}

impl Told {
    /// The server itself never goes away, whatever the database does.
    #[track_caller]
    fn by(answer: &Response) -> Self {
        match answer.status {
            200 | 204 => Self::Done,
            500 | 503 => {
                assert_ne!(answer.message(), "", "whoever is refused is told why");
                Self::Unknown
            }
            other => panic!("an answer that blames the client: {other} {}", answer.text()),
        }
    }
}

/// What was made of one Data, as far as the client knows.
#[derive(Debug)]
struct Made {
    run: String,
    /// What the last attempt of the Run has made that the client has seen.
    output: String,
    retried: Told,
    deleted: Told,
}

/// One Data that was pushed, and what became of it.
#[derive(Debug)]
pub(super) struct Pushed {
    content: String,
    /// Its id, if it was acknowledged, and what was made of it.
    acknowledged: Option<(String, Made)>,
}

/// The client of one server, whose Runs are those of one Plan.
pub(super) struct Changing<'a> {
    pub(super) http: Client,
    pub(super) plan: &'a str,
    pub(super) appointment: &'a Appointment,
}

impl Changing<'_> {
    /// Goes on until it is over.
    pub(super) fn until(&self, over: &AtomicBool) -> Vec<Pushed> {
        (0..).take_while(|_| !over.load(Ordering::Relaxed)).map(|round| self.round(round)).collect()
    }

    fn round(&self, round: usize) -> Pushed {
        let content = format!("this is Data {round}\n").repeat(LINES);
        let acknowledged = self.push(&content).map(|data| {
            let made = self.change(&data, round);
            (data, made)
        });
        Pushed { content, acknowledged }
    }

    /// Pushes a Data, whose second half goes off when the step is taken.
    fn push(&self, content: &str) -> Option<String> {
        let archive = Archive::new().file("it", content.as_bytes()).gzip();
        let (first, second) = archive.split_at(archive.len() / 2);
        let mut upload = self.http.begin_upload();
        // A server that refuses early may close before it has read everything; its answer is what counts.
        let _ = upload.chunk(first);
        self.appointment.takes(Step::Push);
        let _ = upload.chunk(second).and_then(|()| upload.last_chunk(&[("x-checksum-md5", &checksum(&archive))]));
        let answer = upload.response();
        (Told::by(&answer) == Told::Done).then(|| id_of(&answer.json(), "knitId"))
    }

    /// Lets a Run be made of the Data, retries it, and deletes it every other time.
    fn change(&self, data: &str, round: usize) -> Made {
        let tag = json!({"add": [MINE]});
        wait_until("the Data to be tagged", || {
            Told::by(&self.http.send_json("PUT", &format!("/api/data/{data}"), &tag)) == Told::Done
        });
        let (run, output) = self.done(data);
        self.appointment.takes(Step::Retry);
        let retried = Told::by(&self.http.ask("PUT", &format!("/api/runs/{run}/retry")));
        if retried == Told::Unknown {
            return Made { run, output, retried, deleted: Told::NotAsked };
        }
        let (_, output) = self.done(data);
        let mut deleted = Told::NotAsked;
        if round % 2 == 1 {
            self.appointment.takes(Step::Delete);
            deleted = Told::by(&self.http.ask("DELETE", &format!("/api/runs/{run}")));
        }
        Made { run, output, retried, deleted }
    }

    /// Waits until the Run of a Data is done; answers it and what it has made.
    fn done(&self, data: &str) -> (String, String) {
        wait_for("the Run of a Data to be done", || {
            let answer = self.http.get(&format!("/api/runs?plan={}", self.plan));
            if Told::by(&answer) == Told::Unknown {
                return None;
            }
            let runs = answer.json();
            let mut runs = runs.as_array().expect("finding answers a list").iter();
            let run = runs.find(|run| run["inputs"][0]["knitId"] == data)?;
            assert_ne!(run["status"], "failed", "{run:#}");
            (run["status"] == "done").then(|| (id_of(run, "runId"), output_of(run, "/out")))
        })
    }
}

/// What was acknowledged is there, and what was not is there as a whole or not at all; nothing else is left.
#[track_caller]
pub(super) fn assert_as_told(shop: &Workshop, pushed: &[Pushed]) {
    let told = |step: fn(&Made) -> Told| {
        pushed.iter().filter_map(|one| Some(step(&one.acknowledged.as_ref()?.1))).any(|told| told == Told::Done)
    };
    assert!(told(|made| made.retried) && told(|made| made.deleted), "nothing was done: {pushed:#?}");
    let found = |what: &str| shop.server.http().get(what).json().as_array().expect("finding answers a list").clone();
    let ended = |run: &Value| ["done", "failed", "invalidated"].iter().any(|end| run["status"] == *end);
    wait_until("everything to end", || found("/api/runs").iter().all(ended));
    let listed = found("/api/data").len();
    wait_until("one volume for each Data to be all that is kept", || shop.server.keeps().len() == listed);
    let names = contents(shop, "it", &found("/api/data"));
    for Pushed { content, acknowledged } in pushed {
        let there = names.get(content).map_or(&[][..], Vec::as_slice);
        match acknowledged {
            Some((data, made)) => {
                assert_eq!(there, std::slice::from_ref(data), "it was acknowledged, and is there once");
                assert_made_as_told(shop, made);
            }
            None => assert!(there.len() < 2, "it is there twice: {there:?}"),
        }
    }
    let whole = |content: &&String| pushed.iter().any(|one| one.content == **content);
    let others: Vec<&String> = names.keys().filter(|content| !whole(content)).collect();
    assert!(others.iter().all(|content| *content == OF_ANOTHER), "nobody has pushed this: {others:?}");
}

/// What the one Data has that this client has not pushed.
pub(super) const OF_ANOTHER: &str = "x";

/// The Data that have a file of this name, by what is in it.
fn contents(shop: &Workshop, file: &str, data: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut contents = BTreeMap::<String, Vec<String>>::new();
    for data in data {
        let id = id_of(data, "knitId");
        if let Ok(content) = fs::read_to_string(shop.pull(&id).join(file)) {
            contents.entry(content).or_default().push(id);
        }
    }
    contents
}

#[track_caller]
fn assert_made_as_told(shop: &Workshop, made: &Made) {
    let http = shop.server.http();
    let run = http.get(&format!("/api/runs/{}", made.run));
    let gone = run.status == 404 || run.json()["status"] == "invalidated";
    match made.deleted {
        Told::Done => assert!(gone, "its deletion was acknowledged: {}", run.text()),
        Told::NotAsked => assert!(!gone, "nobody has deleted it: {}", run.text()),
        Told::Unknown => {}
    }
    if gone {
        assert_eq!(shop.data(&made.output), None, "what it made went with it");
        return;
    }
    let run = run.json();
    assert_eq!(run["status"], "done");
    let life = shop.pull(&output_of(&run, "/out")).join("life");
    assert_eq!(fs::read_to_string(life).unwrap(), "ran\n", "the Worker of an attempt ran once");
    let attempts = http.get(&format!("/api/runs/{}/attempts", made.run)).json().as_array().map(Vec::len);
    let possible: &[usize] = match made.retried {
        Told::Done => &[2],
        Told::NotAsked => &[1],
        Told::Unknown => &[1, 2],
    };
    assert!(attempts.is_some_and(|attempts| possible.contains(&attempts)), "{attempts:?} attempts, but {made:?}");
}
