//! What was true at an earlier position of the log is asked again, when much has happened since: `as-of`, and the events.

use std::collections::BTreeMap;

use knit_tests::http::Client;
use serde_json::Value;

use super::chance::Chance;
use super::compare::everything;
use super::model::{Model, UPLOADED};
use super::user::Known;

/// The model as it was when nothing moved, and up to which event that was.
pub(crate) struct Moment {
    position: u64,
    model: Model,
    known: Known,
}

impl Moment {
    /// Now, when nothing moves.
    pub(crate) fn now(http: &Client, model: &Model, known: &Known) -> Self {
        let answer = http.get("/api/runs");
        let position = answer.header("x-knit-position").and_then(|position| position.parse().ok());
        Self { position: position.expect("an answer says its position"), model: model.clone(), known: known.clone() }
    }
}

/// All Data, Runs and Plans are asked for as of some moment.
pub(crate) fn past(chance: &mut Chance, http: &Client, moments: &[Moment]) {
    if moments.is_empty() {
        return;
    }
    let Moment { position, model, known } = &moments[chance.below(moments.len())];
    everything(http, model, known, &format!("?as-of={position}"));
}

/// The whole log is watched to its end: every position is told once, in order, and what makes Plans, Runs, attempts and
/// Data is told once for each.
pub(crate) fn events(http: &Client, model: &Model) {
    let answer = http.get("/api/events");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, event) in (1..).zip(text.split("\n\n").filter(|event| event.contains("\nevent: "))) {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        assert_eq!(field("id: "), format!("{number}"), "{event}");
        let told: Value = serde_json::from_str(field("data: ")).expect("an event is JSON");
        assert_eq!(told["position"], number, "{event}");
        *counts.entry(field("event: ")).or_default() += 1;
    }
    let uploads = model.runs.iter().filter(|run| run.plan == UPLOADED).count();
    let expected = [
        ("PlanRegistered", model.plans.len() - 1),
        ("UploadStarted", uploads),
        ("RunProjected", model.runs.len() - uploads),
        ("RunRetried", model.runs.iter().map(|run| run.earlier.len()).sum()),
        ("DataReserved", model.data.len()),
        ("DataDiscarded", model.data.iter().filter(|data| data.gone).count()),
    ];
    for (name, expected) in expected {
        assert_eq!(counts.get(name).copied().unwrap_or_default(), expected, "how often {name} is told: {counts:?}");
    }
}
