//! Workflows as others have recorded them: WfFormat 1.5, JSON or JSON in gzip.
//!
//! A task is a Run, a file is a Data, a file that no task makes is an upload. A Plan is a program with
//! so many inputs and outputs, since a Plan has a fixed number of each.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::Context as _;
use flate2::read::GzDecoder;
use serde::Deserialize;

use super::{DataRow, Graph, PlanRow};

/// A recorded workflow, its tasks in an order in which they can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workflow {
    family: String,
    tasks: Vec<Task>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    name: String,
    id: String,
    #[serde(default)]
    input_files: Vec<String>,
    #[serde(default)]
    output_files: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    workflow: Body,
}

#[derive(Deserialize)]
struct Body {
    specification: Specification,
}

#[derive(Deserialize)]
struct Specification {
    tasks: Vec<Task>,
}

/// Every workflow in a folder, in the order of the file names.
///
/// # Errors
/// When the folder or a file cannot be read, is no WfFormat, or there is none.
pub(crate) fn folder(folder: &Path) -> anyhow::Result<Vec<Workflow>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.to_str().is_some_and(|path| path.ends_with(".json") || path.ends_with(".json.gz")));
    paths.sort();
    anyhow::ensure!(!paths.is_empty(), "there is no .json or .json.gz in {}", folder.display());
    paths.iter().map(|path| file(path).with_context(|| format!("cannot read {}", path.display()))).collect()
}

fn file(path: &Path) -> anyhow::Result<Workflow> {
    let reader = BufReader::new(File::open(path)?);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let family = name.split(['-', '.']).next().unwrap_or_default();
    if name.ends_with(".gz") { read(family, GzDecoder::new(reader)) } else { read(family, reader) }
}

fn read(family: &str, document: impl Read) -> anyhow::Result<Workflow> {
    let document: Document = serde_json::from_reader(document)?;
    Ok(Workflow { family: family.to_owned(), tasks: runnable(document.workflow.specification.tasks)? })
}

/// The tasks in an order in which each takes only what was made before.
fn runnable(mut waiting: Vec<Task>) -> anyhow::Result<Vec<Task>> {
    let mut missing: HashSet<String> = waiting.iter().flat_map(|task| &task.output_files).cloned().collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        // What a task both takes and makes was there before it, in another state.
        let waits_for = |task: &Task, file: &String| missing.contains(file) && !task.output_files.contains(file);
        let (ready, rest): (Vec<Task>, Vec<Task>) =
            waiting.into_iter().partition(|task| !task.input_files.iter().any(|file| waits_for(task, file)));
        anyhow::ensure!(!ready.is_empty(), "the tasks wait for each other: {}", rest[0].id);
        let made: HashSet<&String> = ready.iter().flat_map(|task| &task.output_files).collect();
        missing.retain(|file| !made.contains(file));
        ordered.extend(ready);
        waiting = rest;
    }
    Ok(ordered)
}

impl Graph {
    /// Adds one execution of a recorded workflow.
    pub(crate) fn workflow(&mut self, workflow: &Workflow) {
        let mut files: HashMap<&str, DataRow> = HashMap::new();
        let mut plans: HashMap<(&str, usize, usize), PlanRow> = HashMap::new();
        let scope = self.plans.len();
        for task in workflow.tasks.iter().filter(|task| !task.input_files.is_empty()) {
            let mut taken = Vec::with_capacity(task.input_files.len());
            for file in &task.input_files {
                let data = files.get(file.as_str()).copied();
                taken.push(data.unwrap_or_else(|| self.upload_named(file, &workflow.family)));
                files.insert(file, taken[taken.len() - 1]);
            }
            taken.sort_unstable();
            taken.dedup();
            let program = task.name.split(['_', ':', ' ']).next().unwrap_or_default();
            let (inputs, outputs) = (taken.len(), task.output_files.len());
            let plan = *plans
                .entry((program, inputs, outputs))
                .or_insert_with(|| self.plan_named(&format!("{}{scope}/{program}", workflow.family), inputs, outputs));
            let made = self.run_of(plan, &taken);
            files.extend(task.output_files.iter().map(String::as_str).zip(made));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const DIAMOND: &str = r#"{"workflow": {"specification": {"tasks": [
        {"name": "join_1", "id": "4", "inputFiles": ["l", "r"], "outputFiles": ["end"], "parents": ["2", "3"]},
        {"name": "left_1", "id": "2", "inputFiles": ["s"], "outputFiles": ["l"]},
        {"name": "right_1", "id": "3", "inputFiles": ["s", "extra"], "outputFiles": ["r"]},
        {"name": "split_1", "id": "1", "inputFiles": ["raw"], "outputFiles": ["s"]}
    ]}}}"#;

    #[test]
    fn a_recorded_workflow_becomes_runs_and_data() {
        let workflow = read("diamond", DIAMOND.as_bytes()).unwrap();
        assert_eq!(workflow.tasks.first().unwrap().id, "1");
        assert_eq!(workflow.tasks.last().unwrap().id, "4");
        let mut graph = Graph::default();
        graph.workflow(&workflow);
        // Four tasks and two uploads; four outputs and two uploaded files.
        assert_eq!((graph.runs().len(), graph.data().len()), (6, 6));
        assert_eq!(graph.assignments(), 6);
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_names_packed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(DIAMOND.as_bytes()).unwrap();
        std::fs::write(folder.path().join("montage-large-001.json.gz"), packed.finish().unwrap()).unwrap();
        std::fs::write(folder.path().join("bwa.json"), DIAMOND).unwrap();
        std::fs::write(folder.path().join("README.md"), "not a workflow").unwrap();
        let workflows = super::folder(folder.path()).unwrap();
        let told: Vec<_> = workflows.iter().map(|workflow| (workflow.family.as_str(), workflow.tasks.len())).collect();
        assert_eq!(told, [("bwa", 4), ("montage", 4)]);
        std::fs::write(folder.path().join("torn.json.gz"), "no gzip").unwrap();
        assert!(super::folder(folder.path()).is_err(), "a file that cannot be read is not passed over");
    }

    #[test]
    fn tasks_that_wait_for_each_other_are_refused() {
        let circle = r#"{"workflow": {"specification": {"tasks": [
            {"name": "a", "id": "a", "inputFiles": ["y"], "outputFiles": ["x"]},
            {"name": "b", "id": "b", "inputFiles": ["x"], "outputFiles": ["y"]}
        ]}}}"#;
        assert!(read("circle", circle.as_bytes()).is_err());
    }
}
