//! A gate that opens and closes when a test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use knit_domain::id::RunId;
use knit_domain::run::Status;
use knitd::reactors::gate::{Closed, Gate, Passed};

/// The gate; open at first.
#[derive(Default)]
pub(crate) struct ScriptedGate {
    asked: Mutex<Vec<(RunId, Status)>>,
    closed: Mutex<BTreeSet<Status>>,
    env: Mutex<BTreeMap<String, String>>,
}

impl ScriptedGate {
    /// Nobody goes to `to` any more.
    pub(crate) fn close(&self, to: Status) {
        self.closed.lock().unwrap().insert(to);
    }

    pub(crate) fn open(&self, to: Status) {
        self.closed.lock().unwrap().remove(&to);
    }

    /// What Workers are given by those who let them pass.
    pub(crate) fn gives(&self, name: &str, value: &str) {
        self.env.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// How often it was asked about a way to `to`.
    pub(crate) fn asked(&self, to: Status) -> usize {
        self.asked.lock().unwrap().iter().filter(|(_, asked)| *asked == to).count()
    }

    /// Which ways were asked about, in order.
    pub(crate) fn ways_of(&self, run: RunId) -> Vec<Status> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(asked, _)| *asked == run).map(|(_, to)| *to).collect()
    }
}

#[async_trait::async_trait]
impl Gate for ScriptedGate {
    async fn before(&self, run: RunId, to: Status) -> Result<Passed, Closed> {
        self.asked.lock().unwrap().push((run, to));
        if self.closed.lock().unwrap().contains(&to) {
            return Err(Closed::Refused { to, reason: "the hook of this test says no".to_owned() });
        }
        Ok(Passed { env: self.env.lock().unwrap().clone() })
    }
}
