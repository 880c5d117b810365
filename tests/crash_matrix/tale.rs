//! One server's tale: what was asked of it, what it acknowledged, and that it may die at any word.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use knit_tests::archive::{Archive, checksum};
use knit_tests::doorkeeper::Doorkeeper;
use knit_tests::http::Response;
use knit_tests::plans::PlanFile;
use knit_tests::postgres::TestDatabase;
use knit_tests::server::Server;
use knit_tests::wait::PATIENCE;
use knit_tests::workshop::id_of;
use serde_json::{Value, json};

/// Pause between two looks at something that is waited for.
const PAUSE: Duration = Duration::from_millis(10);

/// The server has died.
#[derive(Debug)]
pub(crate) struct Died;

/// What was told, unless the server died over it.
pub(crate) type Told<T> = Result<T, Died>;

/// What must hold from now on; the error says how it does not.
type Fact = Box<dyn Fn(&Tale) -> Result<(), String>>;

/// A file: its name, what its owner may do with it, and its content. What others may do is not looked at: whoever pulls
/// it has a umask.
pub(crate) type File = (&'static str, u32, &'static str);

/// A server, and everything it has promised.
pub(crate) struct Tale {
    pub(crate) server: Server,
    pub(crate) door: Doorkeeper,
    /// Where the log is: an address, or the path of a file.
    pub(crate) log: String,
    /// The newest position that an answer carried.
    pub(crate) position: u64,
    /// Where an event is that contradicts the others, if one was written.
    pub(crate) contradiction: Option<u64>,
    facts: Vec<Fact>,
}

impl Tale {
    pub(crate) fn new(server: Server, database: Option<&TestDatabase>) -> Self {
        let file = || -> PathBuf { server.state_dir().join("knitfab.db") };
        let log =
            database.map_or_else(|| file().to_str().expect("a plain path").to_owned(), |own| own.url().to_owned());
        Self { server, door: Doorkeeper::new(), log, position: 0, contradiction: None, facts: Vec::new() }
    }

    /// From now on `fact` must hold, whatever happens to the server.
    pub(crate) fn remember(&mut self, fact: impl Fn(&Self) -> Result<(), String> + 'static) {
        self.facts.push(Box::new(fact));
    }

    /// What was remembered and does not hold.
    pub(crate) fn broken_facts(&self) -> Vec<String> {
        self.facts.iter().filter_map(|fact| fact(self).err()).collect()
    }

    /// One request; the answer is whatever the server says.
    pub(crate) fn ask(&mut self, method: &str, target: &str, body: Option<&Value>) -> Told<Response> {
        if self.server.has_died() {
            return Err(Died);
        }
        let answer = self.server.http().try_json(method, target, body);
        self.heard(answer)
    }

    /// One request that the server has no reason to refuse.
    pub(crate) fn well(&mut self, method: &str, target: &str, body: Option<&Value>) -> Told<Response> {
        let answer = self.ask(method, target, body)?;
        assert!(answer.status < 300, "{method} {target} is refused: {} {}", answer.status, answer.text());
        Ok(answer)
    }

    /// What the server answered; no answer is its death.
    pub(crate) fn heard(&mut self, answer: std::io::Result<Response>) -> Told<Response> {
        let Ok(answer) = answer else {
            self.server.wait_for_death();
            return Err(Died);
        };
        let position = answer.header("x-knit-position").and_then(|position| position.parse().ok());
        self.position = self.position.max(position.unwrap_or_default());
        Ok(answer)
    }

    /// Looks until `look` finds something.
    pub(crate) fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Told<Option<T>>) -> Told<T> {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
            thread::sleep(PAUSE);
        }
    }

    /// Registers a Plan; once that is acknowledged it stays.
    pub(crate) fn register(&mut self, plan: &PlanFile) -> Told<String> {
        let plan = id_of(&self.well("POST", "/api/plans", Some(&plan.json()))?.json(), "planId");
        let id = plan.clone();
        self.remember(move |tale| match tale.look(&format!("/api/plans/{id}")) {
            Some(_) => Ok(()),
            None => Err(format!("the Plan {id} was registered and is gone")),
        });
        Ok(plan)
    }

    /// Uploads a file `it` beside others, and tags it; whatever of that is acknowledged stays. Answers the Data.
    pub(crate) fn push(&mut self, content: &str, tag: &str) -> Told<String> {
        let data = self.upload(content)?;
        let id = data.clone();
        let whole = content.to_owned();
        self.remember(move |tale| tale.holds_file(&id, "it", &whole));
        self.tag(&data, tag)?;
        Ok(data)
    }

    /// Uploads a file `it` beside others; answers the Data.
    pub(crate) fn upload(&mut self, content: &str) -> Told<String> {
        let archive = archive(content);
        let answer = self.server.http().try_upload(&archive, &[("x-checksum-md5", checksum(&archive).as_str())]);
        let uploaded = self.heard(answer)?;
        assert_eq!(uploaded.status, 200, "an honest upload is taken: {}", uploaded.text());
        Ok(id_of(&uploaded.json(), "knitId"))
    }

    /// Adds a tag to a Data; once that is acknowledged it stays.
    pub(crate) fn tag(&mut self, data: &str, tag: &str) -> Told<()> {
        self.well("PUT", &format!("/api/data/{data}"), Some(&json!({"add": [tag], "remove": []})))?;
        let (id, tag) = (data.to_owned(), json!(tag));
        self.remember(move |tale| {
            let tags = tale.data(&id).map(|data| data["tags"].clone());
            let there = tags.as_ref().and_then(Value::as_array).is_some_and(|tags| tags.contains(&tag));
            if there { Ok(()) } else { Err(format!("the tag {tag} of the Data {id} is gone: {tags:?}")) }
        });
        Ok(())
    }

    /// Waits until the only Run of `plan` has ended, and answers it.
    pub(crate) fn ended_run_of(&mut self, plan: &str) -> Told<Value> {
        self.only_run_of(plan, |run| run["status"] == "done" || run["status"] == "failed")
    }

    /// Waits until the only Run of `plan` is as it is wanted, and answers it.
    pub(crate) fn only_run_of(&mut self, plan: &str, wanted: impl Fn(&Value) -> bool) -> Told<Value> {
        self.until("the Run of a Plan", |tale| {
            let runs = tale.well("GET", &format!("/api/runs?plan={plan}"), None)?.json();
            Ok(runs.as_array().and_then(|runs| runs.iter().find(|run| wanted(run))).cloned())
        })
    }

    /// Waits until the server holds somebody at one place, as it was ordered. A user who acted earlier could be
    /// faster than the one who is to be held, and then nobody would ever come to that place.
    pub(crate) fn until_held(&mut self) -> Told<()> {
        self.until("the server to hold somebody", |tale| {
            if tale.server.has_died() { Err(Died) } else { Ok(tale.server.was_held().then_some(())) }
        })
    }

    /// Whether nothing is kept any more; asked so that the server's death is noticed.
    pub(crate) fn settled_with_nothing(&mut self) -> Told<bool> {
        if self.server.has_died() { Err(Died) } else { Ok(self.server.keeps().is_empty()) }
    }

    /// Waits until an upload is under way, and answers its Run.
    pub(crate) fn upload_under_way(&mut self) -> Told<String> {
        self.until("an upload to be under way", |tale| {
            let runs = tale.well("GET", "/api/runs?status=running", None)?.json();
            Ok(runs.as_array().and_then(|runs| runs.first()).map(|run| id_of(run, "runId")))
        })
    }
}

/// Looks at a server that is not supposed to die any more.
impl Tale {
    /// What is at `target`, if there is something.
    pub(crate) fn look(&self, target: &str) -> Option<Value> {
        let answer = self.server.http().get(target);
        (answer.status == 200).then(|| answer.json())
    }

    /// Every element of a list.
    pub(crate) fn list(&self, target: &str) -> Vec<Value> {
        self.look(target).and_then(|list| list.as_array().cloned()).unwrap_or_default()
    }

    /// A Data, if there is one.
    pub(crate) fn data(&self, id: &str) -> Option<Value> {
        self.list(&format!("/api/data?tag=knit%23id%3A{id}")).into_iter().next()
    }

    /// Whether these are the files of a Data that is pulled.
    pub(crate) fn is_pulled(&self, data: &str, files: &[File]) -> Result<(), String> {
        const OWNER: u32 = 0o700;
        let into = self.server.desk().join("pulled");
        let _ = fs::remove_dir_all(&into);
        let told = self.server.knit().run(["data", "pull", "-x", data, "pulled"]);
        if told.code != 0 {
            return Err(format!("the Data {data} cannot be pulled: {told}"));
        }
        let seen = |entry: fs::DirEntry| {
            let mode = entry.metadata().expect("a pulled file is there").mode() & OWNER;
            let content = fs::read(entry.path()).expect("a pulled file can be read");
            (
                entry.file_name().to_string_lossy().into_owned(),
                format!("{mode:o}"),
                String::from_utf8_lossy(&content).into_owned(),
            )
        };
        let found: BTreeSet<_> = fs::read_dir(into.join(data)).into_iter().flatten().flatten().map(seen).collect();
        let wanted: BTreeSet<_> = files
            .iter()
            .map(|(name, mode, content)| ((*name).to_owned(), format!("{mode:o}"), (*content).to_owned()))
            .collect();
        if found == wanted { Ok(()) } else { Err(format!("the Data {data} is {wanted:?}, but is pulled as {found:?}")) }
    }

    /// Whether a file of a Data, which its owner may write and nobody execute, has `content`.
    pub(crate) fn holds_file(&self, data: &str, file: &str, content: &str) -> Result<(), String> {
        let sent = self.server.http().get(&format!("/api/data/{data}"));
        if sent.status != 200 || !sent.complete {
            return Err(format!("the Data {data} cannot be read: {} {}", sent.status, sent.text()));
        }
        let files = unpacked(&sent.body);
        match files.get(file).map(|(mode, bytes)| (*mode, String::from_utf8_lossy(bytes))) {
            Some((0o644, found)) if found == content => Ok(()),
            other => Err(format!("the file {file} of the Data {data} should be {content:?}, but is {other:?}")),
        }
    }
}

/// What is uploaded: several entries, so that there is a moment between two of them.
pub(crate) fn archive(content: &str) -> Vec<u8> {
    let large = content.repeat(20_000);
    Archive::new().file("first", large.as_bytes()).file("sub/second", b"2").file("it", content.as_bytes()).gzip()
}

/// Each file's mode and content.
fn unpacked(gzip: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(gzip));
    let entries = archive.entries().expect("a download is an archive");
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.expect("a download is whole");
        let name = entry.path().expect("an entry has a name").to_string_lossy().into_owned();
        let mode = entry.header().mode().expect("an entry has a mode");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("an entry is whole");
        (name, (mode, content))
    };
    entries.map(read).collect()
}
