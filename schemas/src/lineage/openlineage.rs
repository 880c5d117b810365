//! Lineage as OpenLineage events (specification 2-0-2), one JSON object a line, oldest Run last discovered.
//!
//! A Plan is a job, a Run a run, and a Data a dataset. What the specification has no word for (the words of the
//! command, the path of a mount, that a walk was cut) stands in facets of our own, which it allows.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::graph::{Data, Run, Tag};
use super::{HOME, Index};
use crate::instant::Instant;

const EVENT_SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/";
const FACETS: &str = "https://openlineage.io/spec/facets/";
/// The namespace of jobs and datasets.
const NAMESPACE: &str = "knitfab";
/// When nothing in the graph says when a Data was made.
const UNKNOWN_TIME: &str = "1970-01-01T00:00:00+00:00";

/// Writes what happened last to every Run, before it that it started where that is known, and an event for every Data
/// that no Run in the graph has to do with.
///
/// # Errors
/// What writing to `out` says.
pub fn draw(index: &Index<'_>, out: &mut impl Write) -> io::Result<()> {
    for run in &index.graph.runs {
        if let Some(at) = run.started_at {
            line(out, &start_event(index, run, at))?;
        }
        line(out, &last_event(index, run))?;
    }
    for data in index.strangers() {
        line(out, &data_event(index, data))?;
    }
    Ok(())
}

fn line(out: &mut impl Write, event: &Value) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")
}

/// That a Run started: whoever reads events takes the time of this one for its start. What it takes is there by then,
/// and what it makes is not; how it did comes with the last event.
fn start_event(index: &Index<'_>, run: &Run<'_>, at: Instant) -> Value {
    let mut event = run_event(index, run, "START", at);
    event["inputs"] = datasets(index, index.taken(run));
    event
}

fn last_event(index: &Index<'_>, run: &Run<'_>) -> Value {
    let mut event = run_event(index, run, event_type(run), run.updated_at);
    event["run"]["facets"] = run_facets(run);
    event["inputs"] = datasets(index, index.taken(run));
    event["outputs"] = datasets(index, index.made(run));
    event
}

fn run_event(index: &Index<'_>, run: &Run<'_>, event_type: &str, at: Instant) -> Value {
    json!({
        "eventTime": at,
        "eventType": event_type,
        "producer": HOME,
        "schemaURL": format!("{EVENT_SCHEMA}RunEvent"),
        "run": {"runId": run.run_id, "facets": {}},
        "job": {"namespace": NAMESPACE, "name": run.plan_id, "facets": job_facets(index, run)},
        "inputs": [],
        "outputs": [],
    })
}

fn datasets(index: &Index<'_>, points: Vec<(&str, &Data<'_>)>) -> Value {
    points.into_iter().map(|(path, data)| dataset(index, data, Some(path))).collect()
}

fn data_event(index: &Index<'_>, data: &Data<'_>) -> Value {
    json!({
        "eventTime": data.made_at().unwrap_or(UNKNOWN_TIME),
        "producer": HOME,
        "schemaURL": format!("{EVENT_SCHEMA}DatasetEvent"),
        "dataset": dataset(index, data, None),
    })
}

/// What happened last to a Run, in the words of the specification. One that is only about to start has not.
fn event_type(run: &Run<'_>) -> &'static str {
    match run.status.as_str() {
        "running" | "completing" | "aborting" => "RUNNING",
        "done" => "COMPLETE",
        "failed" => "FAIL",
        // That it was removed later does not change how it ended.
        "invalidated" => match &run.exit {
            Some(exit) if exit.code == 0 => "COMPLETE",
            Some(_) => "FAIL",
            // How it ended is not told; nothing is claimed.
            None => "OTHER",
        },
        _ => "OTHER",
    }
}

fn run_facets(run: &Run<'_>) -> Value {
    let mut facets = json!({
        "knitfab_status": own("#status", [("status", json!(run.status))]),
    });
    if let Some(exit) = run.exit.as_ref().filter(|exit| exit.code != 0) {
        let message = if exit.message.is_empty() { format!("exit code {}", exit.code) } else { exit.message.clone() };
        facets["errorMessage"] = json!({
            "_producer": HOME,
            "_schemaURL": format!("{FACETS}1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet"),
            "message": message,
            "programmingLanguage": "unknown",
        });
        facets["knitfab_status"]["exitCode"] = json!(exit.code);
    }
    facets
}

fn job_facets(index: &Index<'_>, run: &Run<'_>) -> Value {
    let words = [("image", json!(index.what_runs(run))), ("command", json!(index.command(run)))];
    json!({
        "documentation": {
            "_producer": HOME,
            "_schemaURL": format!("{FACETS}1-1-0/DocumentationJobFacet.json#/$defs/DocumentationJobFacet"),
            "description": index.what_runs(run),
        },
        "jobType": {
            "_producer": HOME,
            "_schemaURL": format!("{FACETS}2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet"),
            "processingType": "BATCH",
            "integration": "KNITFAB",
            "jobType": "PLAN",
        },
        "knitfab_plan": own("#plan", words),
    })
}

fn dataset(index: &Index<'_>, data: &Data<'_>, path: Option<&str>) -> Value {
    let tags: Vec<Value> = data.tags.iter().filter(|tag| !tag.is_system()).map(tag).collect();
    let mut facets = json!({
        "tags": {
            "_producer": HOME,
            "_schemaURL": format!("{FACETS}1-0-0/TagsDatasetFacet.json#/$defs/TagsDatasetFacet"),
            "tags": tags,
        },
    });
    let mut words = Vec::new();
    words.extend(path.map(|path| ("path", json!(path))));
    words.extend(data.made_at().map(|at| ("madeAt", json!(at))));
    words.extend(data.transient().map(|why| ("transient", json!(why))));
    words.extend(index.is_cut(data).then_some(("cut", json!(true))));
    if !words.is_empty() {
        facets["knitfab_data"] = own("#data", words);
    }
    json!({"namespace": NAMESPACE, "name": data.knit_id, "facets": facets})
}

fn tag(tag: &Tag<'_>) -> Value {
    let (key, value) = tag.parts();
    json!({"key": key, "value": value, "source": "KNITFAB"})
}

/// A facet of our own; each must say who made it and where it is described.
fn own(anchor: &str, words: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let mut facet = json!({"_producer": HOME, "_schemaURL": format!("{HOME}{anchor}")});
    for (key, value) in words {
        facet[key] = value;
    }
    facet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::example;
    use crate::lineage::graph::Graph;

    fn events(graph: &Graph<'_>) -> Vec<Value> {
        let mut text = Vec::new();
        draw(&Index::new(graph), &mut text).unwrap();
        String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_run_is_an_event_with_its_datasets() {
        let mut graph = example::graph();
        graph.runs.iter_mut().for_each(|run| run.started_at = None);
        let events = events(&graph);
        assert_eq!(events.len(), 2);
        assert_eq!((&events[0]["eventType"], &events[1]["eventType"]), (&json!("COMPLETE"), &json!("FAIL")));
        assert_eq!(events[0]["outputs"].as_array().unwrap().len(), 2, "the log is an output");
        assert_eq!(events[0]["inputs"][0]["facets"]["knitfab_data"]["cut"], json!(true));
        assert_eq!(events[1]["run"]["facets"]["errorMessage"]["message"], json!("out of <memory>"));
    }

    #[test]
    fn a_run_that_was_removed_ended_as_it_did() {
        let mut graph = example::graph();
        graph.runs.iter_mut().for_each(|run| run.started_at = None);
        graph.runs.iter_mut().for_each(|run| run.status = "invalidated".into());
        let ended = |code: u8| Some(crate::api::Exit { code, message: String::new() });
        let mut types = Vec::new();
        for exit in [ended(0), ended(1), None] {
            graph.runs[0].exit = exit;
            types.push(events(&graph)[0]["eventType"].clone());
        }
        assert_eq!(types, ["COMPLETE", "FAIL", "OTHER"]);
    }

    #[test]
    fn the_start_of_a_run_is_an_event_before_its_last_where_it_is_known() {
        let events = events(&example::graph());
        let types: Vec<&Value> = events.iter().map(|event| &event["eventType"]).collect();
        assert_eq!(types, ["START", "COMPLETE", "FAIL"]);
        assert_eq!(events[0]["eventTime"], json!("2025-03-03T09:58:11.5+00:00"));
        assert_eq!(events[0]["run"]["runId"], events[1]["run"]["runId"]);
        assert_eq!((&events[0]["inputs"], &events[0]["outputs"]), (&events[1]["inputs"], &json!([])));
    }

    #[test]
    fn a_data_alone_is_an_event_too() {
        let mut graph = example::graph();
        graph.runs.clear();
        let events = events(&graph);
        assert_eq!(events.len(), 3);
        assert_eq!(events[0]["eventTime"], json!("2025-03-03T09:15:02.418+00:00"));
        assert_eq!(events[1]["eventTime"], json!(UNKNOWN_TIME));
    }
}
