//! The original's way: one request for every Data and every Run, each once, one after another.

mod path;

use std::collections::{HashMap, HashSet};

use knit_schemas::api::{DataDetail, LineageGraph, RunDetail};

use super::reach::Extent;
use crate::client::{Client, Query};
use crate::error::{Ask, Error, Refusal, Subject};

pub(crate) use path::fetch_path;

/// Fetches the graph around `start`.
pub(crate) async fn fetch(client: &Client, start: &str, extent: Extent) -> Result<LineageGraph, Error> {
    let mut walk = Walk::new(client);
    walk.add_data(start).await?;
    let start = start.to_owned();
    let ends = [(Direction::Up, vec![start.clone()]), (Direction::Down, vec![start.clone()])];
    walk.finish(start, extent, ends).await
}

/// Fetches the graph around the Run `start`, which is in it with all that it takes and makes.
pub(crate) async fn fetch_around_run(client: &Client, start: &str, extent: Extent) -> Result<LineageGraph, Error> {
    let mut walk = Walk::new(client);
    let inputs = walk.add_run(start, Direction::Up).await?;
    let made = walk.data.iter().filter(|data| data.upstream.run.run_id == start);
    let outputs = made.map(|data| data.knit_id.clone()).collect();
    walk.finish(start.to_owned(), extent, [(Direction::Up, inputs), (Direction::Down, outputs)]).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

struct Walk<'a> {
    client: &'a Client,
    data: Vec<DataDetail>,
    runs: Vec<RunDetail>,
    /// Where in `data` an id is.
    places: HashMap<String, usize>,
    known_runs: HashSet<String>,
}

impl<'a> Walk<'a> {
    fn new(client: &'a Client) -> Self {
        Self { client, data: Vec::new(), runs: Vec::new(), places: HashMap::new(), known_runs: HashSet::new() }
    }

    /// Goes on from the Data at both ends, as far as is wanted.
    async fn finish(
        mut self,
        start: String,
        extent: Extent,
        ends: [(Direction, Vec<String>); 2],
    ) -> Result<LineageGraph, Error> {
        let mut stops = Vec::new();
        for (direction, from) in ends {
            let is_wanted = match direction {
                Direction::Up => extent.upstream,
                Direction::Down => extent.downstream,
            };
            if is_wanted {
                stops.push((direction, self.follow(from, direction, extent.depth).await?));
            }
        }
        let cut = self.cut(&stops);
        Ok(LineageGraph::from_details(start, &self.data, &self.runs, cut))
    }

    /// Goes on from `frontier`, layer by layer, and returns where it stopped.
    async fn follow(
        &mut self,
        mut frontier: Vec<String>,
        direction: Direction,
        depth: Option<u32>,
    ) -> Result<Vec<String>, Error> {
        let mut layer = 0;
        while !frontier.is_empty() && depth.is_none_or(|depth| layer < depth) {
            let mut next = Vec::new();
            for knit_id in frontier {
                for run_id in self.neighbours(&knit_id, direction) {
                    next.extend(self.add_run(&run_id, direction).await?);
                }
            }
            frontier = next;
            layer += 1;
        }
        Ok(frontier)
    }

    /// The Runs beyond a Data.
    fn neighbours(&self, knit_id: &str, direction: Direction) -> Vec<String> {
        let Some(data) = self.places.get(knit_id).and_then(|place| self.data.get(*place)) else { return Vec::new() };
        match direction {
            Direction::Up => vec![data.upstream.run.run_id.clone()],
            Direction::Down => data.downstreams.iter().map(|downstream| downstream.run.run_id.clone()).collect(),
        }
    }

    /// Adds a new Run with everything around it, and returns the Data to go on from.
    async fn add_run(&mut self, run_id: &str, direction: Direction) -> Result<Vec<String>, Error> {
        if !self.known_runs.insert(run_id.to_owned()) {
            return Ok(Vec::new());
        }
        let (inputs, outputs) = self.fetch_run(run_id).await?;
        let (around, onward) = match direction {
            Direction::Up => (outputs, inputs),
            Direction::Down => (inputs, outputs),
        };
        for knit_id in around.iter().chain(&onward) {
            self.add_data(knit_id).await?;
        }
        Ok(onward)
    }

    /// Adds a Run without anything around it, and returns the Data beyond.
    async fn behind(&mut self, run_id: &str, direction: Direction) -> Result<Vec<String>, Error> {
        let (inputs, outputs) = self.fetch_run(run_id).await?;
        Ok(match direction {
            Direction::Up => inputs,
            Direction::Down => outputs,
        })
    }

    /// Fetches a Run; returns the ids of what it takes, and of what it makes, the log last.
    async fn fetch_run(&mut self, run_id: &str) -> Result<(Vec<String>, Vec<String>), Error> {
        let ask = Ask::question("trace", Subject::Run(run_id.to_owned()));
        let run: RunDetail = self.client.get(&ask, &["runs", run_id], Query::new()).await?;
        let ids = |points: &[knit_schemas::api::RunMountpoint]| {
            points.iter().map(|point| point.knit_id.clone()).filter(|id| !id.is_empty()).collect::<Vec<_>>()
        };
        let inputs = ids(&run.inputs);
        let mut outputs = ids(&run.outputs);
        outputs.extend(run.log.as_ref().map(|log| log.knit_id.clone()).filter(|id| !id.is_empty()));
        self.runs.push(run);
        Ok((inputs, outputs))
    }

    async fn add_data(&mut self, knit_id: &str) -> Result<(), Error> {
        if self.places.contains_key(knit_id) {
            return Ok(());
        }
        let ask = Ask::question("trace", Subject::Data(knit_id.to_owned()));
        let query = vec![("tag", format!("knit#id:{knit_id}"))];
        let found: Vec<DataDetail> = self.client.get(&ask, &["data"], query).await?;
        let Some(data) = found.into_iter().next() else {
            return Err(Refusal::missing(ask, "not found".to_owned()));
        };
        self.places.insert(knit_id.to_owned(), self.data.len());
        self.data.push(data);
        Ok(())
    }

    /// Of the Data where the walk stopped, those beyond which there are Runs that are not drawn.
    fn cut(&self, ends: &[(Direction, Vec<String>)]) -> Vec<String> {
        let mut seen = HashSet::new();
        let stopped = ends.iter().flat_map(|(direction, frontier)| frontier.iter().map(move |id| (id, *direction)));
        stopped
            .filter(|(id, direction)| self.neighbours(id, *direction).iter().any(|run| !self.known_runs.contains(run)))
            .filter(|(id, _)| seen.insert(id.as_str()))
            .map(|(id, _)| id.clone())
            .collect()
    }
}
