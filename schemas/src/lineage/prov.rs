//! Lineage as W3C PROV in its JSON notation (PROV-JSON).
//!
//! Data and Plans are entities, Runs are activities, carried out by Knitfab after a Plan; a mount path is the role
//! that an entity has in an activity.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::graph::{Data, Run, Tag};
use super::{HOME, Index};
use crate::api::PlanSummary;

/// Writes one document.
///
/// # Errors
/// What writing to `out` says.
pub fn draw(index: &Index<'_>, out: &mut impl Write) -> io::Result<()> {
    let graph = index.graph;
    let data = graph.data.iter().map(|data| (named(data.knit_id.as_str()), data_entity(index, data)));
    let plans = graph.plans.iter().map(|plan| (named(&plan.plan_id), plan_entity(plan)));
    let runs = graph.runs.iter().map(|run| (named(run.run_id.as_str()), activity(run)));
    let document = json!({
        "prefix": {"uuid": "urn:uuid:", "knitfab": format!("{HOME}#")},
        "entity": data.chain(plans).collect::<Map<_, _>>(),
        "activity": runs.collect::<Map<_, _>>(),
        "agent": {"knitfab:knitfab": {"prov:type": qualified("prov:SoftwareAgent")}},
        "used": numbered("u", index, Index::taken),
        "wasGeneratedBy": numbered("g", index, Index::made),
        "wasAssociatedWith": associations(index),
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

/// All ids are UUIDs, so the name of a thing is that everywhere.
fn named(id: &str) -> String {
    format!("uuid:{id}")
}

fn qualified(name: &str) -> Value {
    json!({"$": name, "type": "prov:QUALIFIED_NAME"})
}

fn data_entity(index: &Index<'_>, data: &Data<'_>) -> Value {
    let tags: Vec<&Tag<'_>> = data.tags.iter().filter(|tag| !tag.is_system()).collect();
    let mut entity = json!({"prov:type": qualified("knitfab:Data")});
    if !tags.is_empty() {
        entity["knitfab:tag"] = json!(tags);
    }
    if let Some(at) = data.made_at() {
        entity["knitfab:madeAt"] = json!({"$": at, "type": "xsd:dateTime"});
    }
    if let Some(why) = data.transient() {
        entity["knitfab:transient"] = json!(why);
    }
    if index.is_cut(data) {
        entity["knitfab:cut"] = json!(true);
    }
    entity
}

fn plan_entity(plan: &PlanSummary) -> Value {
    let mut entity = json!({"prov:type": qualified("prov:Plan")});
    if let Some(label) = plan.image.as_ref().or(plan.name.as_ref()) {
        entity["prov:label"] = json!(label);
    }
    for (key, words) in [("knitfab:entrypoint", &plan.entrypoint), ("knitfab:args", &plan.args)] {
        if !words.is_empty() {
            entity[key] = json!(words.join(" "));
        }
    }
    entity
}

fn activity(run: &Run<'_>) -> Value {
    let mut activity = json!({"prov:type": qualified("knitfab:Run"), "knitfab:status": run.status});
    if let Some(at) = run.started_at {
        activity["prov:startTime"] = json!(at);
    }
    if matches!(run.status.as_str(), "done" | "failed") {
        activity["prov:endTime"] = json!(run.updated_at);
    }
    if let Some(exit) = &run.exit {
        activity["knitfab:exitCode"] = json!(exit.code);
        if !exit.message.is_empty() {
            activity["knitfab:exitMessage"] = json!(exit.message);
        }
    }
    activity
}

fn numbered<'a>(
    letter: &str,
    index: &Index<'a>,
    points: fn(&Index<'a>, &'a Run<'a>) -> Vec<(&'a str, &'a Data<'a>)>,
) -> Map<String, Value> {
    let all = index.graph.runs.iter().flat_map(|run| points(index, run).into_iter().map(move |point| (run, point)));
    let relation = |(n, (run, (path, data))): (usize, (&Run<'_>, (&str, &Data<'_>)))| {
        let (activity, entity) = (named(run.run_id.as_str()), named(data.knit_id.as_str()));
        let relation = json!({"prov:activity": activity, "prov:entity": entity, "prov:role": path});
        (format!("_:{letter}{n}"), relation)
    };
    all.enumerate().map(relation).collect()
}

fn associations(index: &Index<'_>) -> Map<String, Value> {
    let of = |(n, run): (usize, &Run<'_>)| {
        let (activity, plan) = (named(run.run_id.as_str()), named(run.plan_id.as_str()));
        let relation = json!({"prov:activity": activity, "prov:agent": "knitfab:knitfab", "prov:plan": plan});
        (format!("_:a{n}"), relation)
    };
    index.graph.runs.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::example;

    #[test]
    fn what_a_run_used_and_made_is_said_with_its_place() {
        let graph = example::graph();
        let mut text = Vec::new();
        draw(&Index::new(&graph), &mut text).unwrap();
        let document: Value = serde_json::from_slice(&text).unwrap();
        let run = "uuid:44444444-4444-4444-8444-444444444444";
        let raw = "uuid:11111111-1111-4111-8111-111111111111";
        assert_eq!(document["used"]["_:u0"], json!({"prov:activity": run, "prov:entity": raw, "prov:role": "/in/raw"}));
        assert_eq!(document["wasGeneratedBy"]["_:g1"]["prov:role"], json!("(log)"));
        assert_eq!(document["entity"][raw]["knitfab:cut"], json!(true));
        assert_eq!(document["activity"][run]["prov:endTime"], json!("2025-03-03T10:02:47+00:00"));
        assert_eq!(document["activity"][run]["prov:startTime"], json!("2025-03-03T09:58:11.5+00:00"));
        let unseen = "uuid:55555555-5555-4555-8555-555555555555";
        assert!(document["activity"][unseen].get("prov:startTime").is_none(), "nobody saw it start");
        assert_eq!(document["entity"].as_object().unwrap().len(), 4, "three Data and a Plan");
    }
}
