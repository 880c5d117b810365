//! Somebody who works with one server for hours: a round every two seconds, always the same mixture, none of it
//! by chance, so that two runs can be compared.

use std::collections::VecDeque;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use knit_tests::cli::Knit;
use knit_tests::http::Client;
use knit_tests::server::Server;
use serde_json::json;

use super::answers::Answers;
use super::asking::Asking;
use super::plans::Plans;

/// From the beginning of a round to that of the next: some 1.2 Runs a second, which is a busy laboratory, and a
/// small part of a processor.
pub(super) const ROUND: Duration = Duration::from_secs(2);
/// Rounds after which a pushed Data and everything made of it is deleted. It bounds what is kept, so that what
/// grows all the same is seen.
const KEPT_ROUNDS: u64 = 150;
/// Trees deleted in one round at most: somewhat more than are pushed, so that a backlog can be worked off.
const DELETED_PER_ROUND_MAX: usize = 3;
/// Data on each side of the product; a new one makes as many Runs as there are on the other side.
const SIDE_MAX: usize = 3;
/// Bytes of a large push.
const LARGE_BYTES: usize = 8 << 20;
/// Piece of a live log that is read before the reader goes away.
const LOG_PIECE_BYTES: usize = 4 << 10;

/// A pushed Data, from which everything else follows.
struct Tree {
    root: String,
    /// The round in which it is going to be deleted.
    deleted_in: u64,
}

/// The user of one server.
pub(super) struct User {
    asking: Asking,
    knit: Knit,
    plans: Plans,
    trees: VecDeque<Tree>,
    /// The Data of the product's two sides; they are not deleted by age.
    sides: [VecDeque<String>; 2],
    large: Vec<u8>,
    /// The Data whose Run is going to be retried.
    bad: Option<String>,
    /// The Data whose Run is going to be stopped.
    slow: Option<String>,
}

impl User {
    /// Registers the Plans that last.
    pub(super) fn of(server: &Server, answers: Arc<Answers>) -> anyhow::Result<Self> {
        let asking = Asking::new(Client::new(server.address()), answers);
        let plans = Plans::register(&asking)?;
        let large = knit_tests::archive::Archive::new().file("large", &knit_tests::archive::noise(LARGE_BYTES)).gzip();
        Ok(Self {
            asking,
            knit: server.knit(),
            plans,
            trees: VecDeque::new(),
            sides: [VecDeque::new(), VecDeque::new()],
            large,
            bad: None,
            slow: None,
        })
    }

    /// Works until `stop` is set; then stops what would run for ever. Answers how many rounds there were, and how
    /// many of them began late because the one before had taken too long.
    pub(super) fn work(mut self, stop: &AtomicBool) -> (u64, u64) {
        let (begun, mut late) = (Instant::now(), 0);
        let mut round = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            self.round(round);
            round += 1;
            let next = ROUND * u32::try_from(round).unwrap_or(u32::MAX);
            match next.checked_sub(begun.elapsed()) {
                Some(pause) => thread::sleep(pause),
                None => late += 1,
            }
        }
        self.stop_slow(round);
        (round, late)
    }

    fn round(&mut self, round: u64) {
        self.push(round, &["stage:raw"]);
        self.change(round);
        self.look(round);
        self.stop_and_retry(round);
        self.product(round);
        self.changing_plans(round);
        self.by_command_line(round);
        self.delete(round);
    }

    /// Pushes a small Data, once in a while a large one.
    fn push(&mut self, round: u64, tags: &[&str]) -> Option<String> {
        let small = knit_tests::archive::Archive::new().file("it", format!("what round {round} brings").as_bytes());
        let archive = if round % 60 == 29 && tags == ["stage:raw"] { self.large.clone() } else { small.gzip() };
        let root = self.asking.push(&archive, tags)?;
        self.trees.push_back(Tree { root: root.clone(), deleted_in: round + KEPT_ROUNDS });
        Some(root)
    }

    /// Changes tags of something that was pushed not long ago; one in four makes it fit a Plan.
    fn change(&self, round: u64) {
        let Some(tree) = self.some_rounds_ago(2).filter(|_| round % 3 == 1) else { return };
        let mut add = vec![format!("note:{}", round % 7)];
        if round % 12 == 1 {
            add.push("picked:yes".to_owned());
        }
        let path = format!("/api/data/{}", tree.root);
        self.asking.put(&path, &json!({"add": add, "remove": [], "remove_key": ["note"]}));
    }

    fn look(&self, round: u64) {
        self.asking.get(&format!("/api/data?tag=note:{}", round % 7));
        if let Some(tree) = self.some_rounds_ago(3) {
            match round % 10 {
                2 | 6 => drop(self.asking.get(&format!("/api/data/{}/lineage?direction=both&depth=all", tree.root))),
                4 => drop(self.asking.get(&format!("/api/data/{}", tree.root))),
                8 => drop(self.asking.get(&format!("/api/data?tag=knit%23id:{}", tree.root))),
                _ => {}
            }
        }
        match round % 10 {
            1 => drop(self.asking.get("/api/runs?status=starting,running,failed")),
            3 => drop(self.asking.get(&format!("/api/runs?plan={}", self.plans.copy))),
            5 => drop(self.asking.get("/api/plans")),
            7 => drop(self.asking.get(&format!("/api/plans/{}/matches", self.plans.pair))),
            _ => {}
        }
    }

    /// Some Runs fail and are retried, some would never end and are followed and stopped.
    fn stop_and_retry(&mut self, round: u64) {
        if round % 10 == 5 {
            self.bad = self.push(round, &["mood:bad"]);
        }
        if let Some(run) = self.bad.as_ref().filter(|_| round % 10 == 8).and_then(|bad| self.asking.run_on(bad)) {
            self.asking.act(&run, "retry");
        }
        if round % 15 == 6 {
            self.slow = self.push(round, &["mood:slow"]);
        }
        if let Some(run) = self.slow.as_ref().filter(|_| round % 15 == 9).and_then(|slow| self.asking.run_on(slow)) {
            self.asking.follow_a_little(&run, LOG_PIECE_BYTES);
        }
        if round % 15 == 10 {
            self.stop_slow(round);
        }
    }

    fn stop_slow(&mut self, round: u64) {
        if let Some(run) = self.slow.take().and_then(|slow| self.asking.run_on(&slow)) {
            self.asking.act(&run, if round.is_multiple_of(2) { "abort" } else { "tearoff" });
        }
    }

    /// A Plan with two inputs: every new Data of one side meets all of the other.
    fn product(&mut self, round: u64) {
        let side = match round % 30 {
            11 => 0,
            26 => 1,
            _ => return,
        };
        let tag = ["side:left", "side:right"][side];
        let archive = knit_tests::archive::Archive::new().file("side", tag.as_bytes()).gzip();
        self.sides[side].extend(self.asking.push(&archive, &[tag]));
        if self.sides[side].len() > SIDE_MAX
            && let Some(oldest) = self.sides[side].pop_front()
        {
            // Its Runs have long ended.
            self.trees.push_front(Tree { root: oldest, deleted_in: round });
        }
    }

    /// A new Plan every twenty rounds, that meets Data of its own, rests, has a Run that waits, goes on, and
    /// rests for ever.
    fn changing_plans(&mut self, round: u64) {
        let topic = format!("topic:{}", round / 20);
        match round % 20 {
            7 => self.plans.register_passing(&self.asking, &topic),
            9 | 15 => drop(self.push(round, &[&topic])),
            13 | 19 => self.plans.set_passing_active(&self.asking, false),
            17 => self.plans.set_passing_active(&self.asking, true),
            _ => {}
        }
    }

    /// A part is done with `knit`, as people do it.
    fn by_command_line(&mut self, round: u64) {
        match round % 25 {
            12 => {
                let directory = self.knit.home().join("from-desk");
                let _ = fs::create_dir_all(&directory);
                let _ = fs::write(directory.join("it"), format!("from a desk in round {round}"));
                let pushed = self.said_by_knit(&["data", "push", "-t", "stage:raw", &directory.to_string_lossy()]);
                let id = pushed.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
                let id = id.and_then(|data| data["knitId"].as_str().map(str::to_owned));
                self.trees.extend(id.map(|root| Tree { root, deleted_in: round + KEPT_ROUNDS }));
            }
            16 => self.pull(),
            20 => drop(self.said_by_knit(&["run", "find", "-s", "failed"])),
            23 => drop(self.said_by_knit(&["data", "find", "-t", "side:left"])),
            _ => {}
        }
    }

    fn pull(&self) {
        let Some(tree) = self.some_rounds_ago(3) else { return };
        let place = self.knit.home().join("pulled");
        let _ = self.said_by_knit(&["data", "pull", "-x", &tree.root, &place.to_string_lossy()]);
        let _ = fs::remove_dir_all(place);
    }

    /// What `knit` printed, if it succeeded; counted like an answer.
    fn said_by_knit(&self, words: &[&str]) -> Option<String> {
        let outcome = self.knit.run(words);
        self.asking.answers.count_command(outcome.code == 0, &outcome);
        (outcome.code == 0).then_some(outcome.stdout)
    }

    /// Deletes the oldest trees. One whose Runs have not ended yet has another turn when all others had theirs.
    fn delete(&mut self, round: u64) {
        for _ in 0..DELETED_PER_ROUND_MAX {
            if self.trees.front().is_none_or(|tree| tree.deleted_in > round) {
                return;
            }
            if let Some(tree) = self.trees.pop_front()
                && !self.asking.delete_tree(&tree.root)
            {
                self.trees.push_back(Tree { deleted_in: round + KEPT_ROUNDS, ..tree });
            }
        }
    }

    fn some_rounds_ago(&self, rounds: usize) -> Option<&Tree> {
        self.trees.iter().rev().nth(rounds)
    }
}
