//! A user changes a Plan.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::{Value, json};

use super::runs::worker;
use super::tale::{Tale, Told};

pub(super) fn plan(tale: &mut Tale) -> Told<()> {
    let plan = worker(tale, "true").input("/in", &["never:there"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan.with("resources", json!({"cpu": "1"})))?;
    let steps: [(&str, &str, Option<Value>, Changeable); 6] = [
        ("DELETE", "active", None, (false, "1", 0, None)),
        ("PUT", "active", None, (true, "1", 0, None)),
        ("PUT", "resources", Some(json!({"set": {"cpu": "2"}})), (true, "2", 0, None)),
        ("PUT", "annotations", Some(json!({"add": ["note=kept"]})), (true, "2", 1, None)),
        ("PUT", "serviceaccount", Some(json!({"service_account": "somebody"})), (true, "2", 1, Some("somebody"))),
        ("DELETE", "serviceaccount", None, (true, "2", 1, None)),
    ];
    let states: Vec<Changeable> =
        std::iter::once((true, "1", 0, None)).chain(steps.iter().map(|step| step.3)).collect();
    let acknowledged = Rc::new(Cell::new(0));
    let (id, upto) = (plan.clone(), Rc::clone(&acknowledged));
    tale.remember(move |tale| {
        let now = tale.look(&format!("/api/plans/{id}")).ok_or_else(|| format!("the Plan {id} is gone"))?;
        // A change that was not acknowledged may have been made.
        let allowed = &states[upto.get()..states.len().min(upto.get() + 2)];
        if allowed.iter().any(|state| is_in(&now, *state)) {
            return Ok(());
        }
        Err(format!("the Plan is in one of the states {allowed:?}: {now:#}"))
    });
    for (method, part, body, _) in steps {
        tale.well(method, &format!("/api/plans/{plan}/{part}"), body.as_ref())?;
        acknowledged.set(acknowledged.get() + 1);
    }
    Ok(())
}

/// What a user can change of a Plan: whether it is active, its processors, its notes, its account.
type Changeable = (bool, &'static str, usize, Option<&'static str>);

fn is_in(plan: &Value, (active, cpu, notes, account): Changeable) -> bool {
    let found_notes = plan["annotations"].as_array().map_or(0, Vec::len);
    let found_account = plan["service_account"].as_str();
    plan["active"] == json!(active)
        && plan["resources"]["cpu"] == json!(cpu)
        && found_notes == notes
        && found_account == account
}
