//! A shortest way from one Data to another, looked for node by node.

use std::collections::{HashMap, HashSet, VecDeque};

use knit_schemas::api::LineageGraph;

use super::{Direction, Walk};
use crate::client::Client;
use crate::error::{Ask, Error, Refusal, Subject};
use crate::ids::Kind;

/// Over which Run, and from which Data, a Data was met first.
type Met = HashMap<String, (String, String)>;

/// Fetches the way between two Data, whichever of them was made of the other, and what lies nearer than its end.
pub(crate) async fn fetch_path(client: &Client, from: &str, to: &str) -> Result<LineageGraph, Error> {
    let mut walk = Walk::new(client);
    walk.add_data(from).await?;
    walk.add_data(to).await?;
    for direction in [Direction::Up, Direction::Down] {
        if let Some(met) = walk.look_for(from, to, direction).await? {
            return Ok(walk.way(from, to, &met));
        }
    }
    let ask = Ask::question("connect", Subject::Pair(Kind::Data, from.to_owned(), to.to_owned()));
    Err(Refusal::missing(ask, format!("neither of Data `{from}` and Data `{to}` was made of the other")))
}

impl Walk<'_> {
    /// Breadth first, so that the first way found is a shortest one; `None` if none leads there in this direction.
    async fn look_for(&mut self, from: &str, to: &str, direction: Direction) -> Result<Option<Met>, Error> {
        let (mut met, mut gone) = (Met::new(), HashSet::new());
        let mut pending = VecDeque::from([from.to_owned()]);
        while let Some(knit_id) = pending.pop_front() {
            if knit_id == to {
                return Ok(Some(met));
            }
            self.add_data(&knit_id).await?;
            for run_id in self.neighbours(&knit_id, direction) {
                if !gone.insert(run_id.clone()) {
                    continue;
                }
                for next in self.behind(&run_id, direction).await? {
                    if next != from && !met.contains_key(&next) {
                        met.insert(next.clone(), (run_id.clone(), knit_id.clone()));
                        pending.push_back(next);
                    }
                }
            }
        }
        Ok(None)
    }

    /// The way that was found, from its beginning.
    fn way(&self, from: &str, to: &str, met: &Met) -> LineageGraph {
        let (mut ids, mut run_ids) = (vec![to], Vec::new());
        let mut at = to;
        while let Some((run_id, before)) = met.get(at).filter(|_| at != from) {
            run_ids.push(run_id.as_str());
            ids.push(before.as_str());
            at = before;
        }
        let data: Vec<_> = ids.iter().rev().filter_map(|id| self.data.get(*self.places.get(*id)?).cloned()).collect();
        let run = |id: &&str| self.runs.iter().find(|run| run.run_id == **id).cloned();
        let runs: Vec<_> = run_ids.iter().rev().filter_map(run).collect();
        LineageGraph::from_details(from.to_owned(), &data, &runs, Vec::new())
    }
}
