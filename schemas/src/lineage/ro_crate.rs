//! Lineage as the metadata of an RO-Crate 1.1, in the profile for runs of programs (Process Run Crate).
//!
//! It is the file `ro-crate-metadata.json`. The Data themselves are elsewhere: each is named by its id, and whoever
//! packs a crate puts them in by `knit data pull`.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Index;
use super::graph::{Data, Run, Tag};
use crate::api::PlanSummary;

const CONTEXT: &str = "https://w3id.org/ro/crate/1.1/context";
const SPECIFICATION: &str = "https://w3id.org/ro/crate/1.1";
const PROFILE: &str = "https://w3id.org/ro/wfrun/process/0.5";
/// The date of a crate in which nothing has one.
const UNKNOWN_DATE: &str = "1970-01-01T00:00:00+00:00";

/// Writes one document.
///
/// # Errors
/// What writing to `out` says.
pub fn draw(index: &Index<'_>, out: &mut impl Write) -> io::Result<()> {
    let graph = index.graph;
    let mut things = vec![descriptor(), root(index), profile()];
    things.extend(graph.data.iter().map(|data| dataset(index, data)));
    things.extend(graph.plans.iter().map(program));
    things.extend(graph.runs.iter().map(|run| action(index, run)));
    let document = json!({"@context": CONTEXT, "@graph": things});
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

fn descriptor() -> Value {
    json!({
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": SPECIFICATION},
    })
}

fn profile() -> Value {
    json!({"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"})
}

fn root(index: &Index<'_>) -> Value {
    let graph = index.graph;
    let published = graph.runs.iter().map(|run| run.updated_at).max().map(|newest| newest.to_string());
    let parts = graph.data.iter().map(|data| reference(data.knit_id.as_str()));
    json!({
        "@id": "./",
        "@type": "Dataset",
        "name": format!("Lineage of {}", graph.start.as_str()),
        "description": "Data, the Runs that made and used them, and the Plans that the Runs carried out",
        "datePublished": published.unwrap_or_else(|| UNKNOWN_DATE.to_owned()),
        "license": "The lineage does not say under which licence the Data are",
        "conformsTo": {"@id": PROFILE},
        "hasPart": parts.chain(graph.plans.iter().map(|plan| reference(&plan.plan_id))).collect::<Vec<_>>(),
        "mentions": graph.runs.iter().map(|run| reference(run.run_id.as_str())).collect::<Vec<_>>(),
    })
}

/// All ids are UUIDs, so the name of a thing is that everywhere.
fn named(id: &str) -> String {
    format!("urn:uuid:{id}")
}

fn reference(id: &str) -> Value {
    json!({"@id": named(id)})
}

fn dataset(index: &Index<'_>, data: &Data<'_>) -> Value {
    let tags: Vec<&Tag<'_>> = data.tags.iter().filter(|tag| !tag.is_system()).collect();
    let id = data.knit_id.as_str();
    let mut thing = json!({
        "@id": named(id),
        "@type": "Dataset",
        "name": format!("Data {id}"),
        "identifier": id,
        "keywords": tags,
    });
    if let Some(at) = data.made_at() {
        thing["dateCreated"] = json!(at);
    }
    let cut = index.is_cut(data).then_some("cut: there is more lineage beyond this Data");
    if let Some(status) = cut.or(data.transient()) {
        thing["creativeWorkStatus"] = json!(status);
    }
    thing
}

fn program(plan: &PlanSummary) -> Value {
    let name = plan.image.as_ref().or(plan.name.as_ref()).unwrap_or(&plan.plan_id);
    let command: Vec<&str> = plan.entrypoint.iter().chain(&plan.args).map(String::as_str).collect();
    let mut thing = json!({
        "@id": named(&plan.plan_id),
        "@type": "SoftwareApplication",
        "name": name,
        "identifier": plan.plan_id,
    });
    if !command.is_empty() {
        thing["description"] = json!(command.join(" "));
    }
    thing
}

fn action(index: &Index<'_>, run: &Run<'_>) -> Value {
    let references = |points: Vec<(&str, &Data<'_>)>| -> Vec<Value> {
        points.into_iter().map(|(_, data)| reference(data.knit_id.as_str())).collect()
    };
    let id = run.run_id.as_str();
    let mut thing = json!({
        "@id": named(id),
        "@type": "CreateAction",
        "name": format!("Run {id} of {}", index.what_runs(run)),
        "identifier": id,
        "actionStatus": {"@id": action_status(run.status.as_str())},
        "instrument": reference(run.plan_id.as_str()),
        "object": references(index.taken(run)),
        "result": references(index.made(run)),
    });
    if let Some(at) = run.started_at {
        thing["startTime"] = json!(at);
    }
    if matches!(run.status.as_str(), "done" | "failed") {
        thing["endTime"] = json!(run.updated_at);
    }
    if let Some(exit) = run.exit.as_ref().filter(|exit| exit.code != 0) {
        thing["error"] = json!(format!("exit code {}: {}", exit.code, exit.message));
    }
    thing
}

fn action_status(status: &str) -> &'static str {
    match status {
        "done" => "http://schema.org/CompletedActionStatus",
        "failed" | "invalidated" => "http://schema.org/FailedActionStatus",
        "starting" | "running" | "completing" | "aborting" => "http://schema.org/ActiveActionStatus",
        _ => "http://schema.org/PotentialActionStatus",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::example;

    #[test]
    fn a_run_is_an_action_of_a_program_on_datasets() {
        let graph = example::graph();
        let mut text = Vec::new();
        draw(&Index::new(&graph), &mut text).unwrap();
        let document: Value = serde_json::from_slice(&text).unwrap();
        let things = document["@graph"].as_array().unwrap();
        assert_eq!(things.len(), 3 + 3 + 1 + 2);
        let action = things.iter().find(|thing| thing["@type"] == "CreateAction").unwrap();
        assert_eq!(action["object"], json!([{"@id": "urn:uuid:11111111-1111-4111-8111-111111111111"}]));
        assert_eq!(action["startTime"], json!("2025-03-03T09:58:11.5+00:00"));
        assert_eq!(action["result"].as_array().unwrap().len(), 2, "the log is a result");
        assert_eq!(things[3]["creativeWorkStatus"], json!("cut: there is more lineage beyond this Data"));
        assert_eq!(things[1]["datePublished"], json!("2025-03-03T11:00:00+00:00"));
    }
}
