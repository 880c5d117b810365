//! Which part of the lineage is wanted, and how it is fetched: by one request, or node by node.

use bytes::Bytes;
use clap::Args;
use clap::builder::PossibleValuesParser;
use knit_schemas::api::{LineageGraph, Tag};
use knit_schemas::lineage::graph::Graph;

use super::walk::{self, Extent};
use crate::as_of::AsOf;
use crate::client::{self, Client, Query};
use crate::error::{Ask, Error};
use crate::ids::{self, Kind};
use crate::run::STATUSES;

/// What is traced, and what of it is shown.
#[derive(Debug, Args)]
pub(crate) struct Tracing {
    /// Trace towards origins
    #[arg(long, short)]
    upstream: bool,
    /// Trace towards consumers
    #[arg(long, short)]
    downstream: bool,
    /// How many steps to go in each direction; `all` for no limit
    #[arg(long, short, value_name = "NUMBER|all", value_parser = depth, default_value = "3")]
    numbers: Depth,
    /// Show only Data that have this tag; may be repeated, then all of them. The way through the others is still gone
    #[arg(long, short, value_name = "KEY:VALUE", value_parser = |text: &str| Tag::parse(text))]
    tag: Vec<Tag>,
    /// Show only Runs of this Plan; may be repeated, then of any of them
    #[arg(long, short, value_name = "PLAN_ID")]
    plan: Vec<String>,
    /// Show only Runs in this status; may be repeated, then in any of them
    #[arg(long, short, value_name = "STATUS", value_parser = PossibleValuesParser::new(STATUSES))]
    status: Vec<String>,
    #[command(flatten)]
    as_of: AsOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Steps(u32),
    All,
}

fn depth(text: &str) -> Result<Depth, String> {
    match text {
        "all" => Ok(Depth::All),
        _ => text.parse().map(Depth::Steps).map_err(|_| "write a positive number or `all`".to_owned()),
    }
}

impl Tracing {
    /// Fetches the lineage of a thing of which `typed` is the id or its beginning, and hands it to `print`.
    pub(crate) async fn trace(
        &self,
        client: &Client,
        kind: Kind,
        typed: String,
        print: impl FnOnce(&Graph<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let extent = self.extent()?;
        let id = ids::whole_as_of(client, kind, typed, &self.as_of).await?;
        let plan = ids::all_whole_as_of(client, Kind::Plan, self.plan.clone(), &self.as_of).await?;
        if let Some((ask, answer)) = self.ask_once(client, kind, &id, extent, &plan).await? {
            let graph = client::understand(&ask, &answer)?;
            print(&graph)?;
            ids::say_unknown(client, Kind::Plan, &plan, &self.as_of).await;
            // The program ends now. Taking a graph of 10⁵ nodes apart would take as long as half of drawing it.
            std::mem::forget(graph);
            return Ok(());
        }
        if self.as_of.is_past() {
            return Err(Error::NoPast);
        }
        let mut graph = match kind {
            Kind::Run => walk::fetch_around_run(client, &id, extent).await?,
            Kind::Data | Kind::Plan => walk::fetch(client, &id, extent).await?,
        };
        self.select(&mut graph, &plan);
        print(&Graph::from(&graph))
    }

    fn extent(&self) -> Result<Extent, Error> {
        let depth = match self.numbers {
            Depth::Steps(0) => return Err(Error::Usage("`--numbers 0` goes nowhere: at least 1".to_owned())),
            Depth::Steps(steps) => Some(steps),
            Depth::All => None,
        };
        let both = self.upstream == self.downstream;
        Ok(Extent { upstream: both || self.upstream, downstream: both || self.downstream, depth })
    }

    /// The answer to one request for the whole graph; `None` from a server that does not know it.
    async fn ask_once(
        &self,
        client: &Client,
        kind: Kind,
        id: &str,
        extent: Extent,
        plan: &[String],
    ) -> Result<Option<(Ask, Bytes)>, Error> {
        let mut query = extent.query();
        query.extend(self.tag.iter().map(|tag| ("tag", tag.to_string())));
        let lists = [("plan", plan), ("status", &self.status)];
        query.extend(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name, list.join(","))));
        let ask = Ask::question("trace", kind.one(id));
        match client.get_bytes_as_of(&ask, &[kind.route(), id, "lineage"], query, &self.as_of).await {
            Ok(answer) => Ok(Some((ask, answer))),
            Err(Error::Refused(refusal)) if refusal.is_unknown_route() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Leaves out what a server would not have shown.
    fn select(&self, graph: &mut LineageGraph, plan: &[String]) {
        let start = graph.start.as_str();
        graph.data.retain(|data| data.knit_id == start || self.tag.iter().all(|tag| data.tags.contains(tag)));
        let is_in = |list: &[String], text: &String| list.is_empty() || list.contains(text);
        let shown = |plan_id: &String, status: &String| is_in(plan, plan_id) && is_in(&self.status, status);
        graph.runs.retain(|run| run.run_id == start || shown(&run.plan_id, &run.status));
        graph.plans.retain(|plan| graph.runs.iter().any(|run| run.plan_id == plan.plan_id));
        graph.cut.retain(|id| graph.data.iter().any(|data| data.knit_id == *id));
    }
}

impl Extent {
    /// The parameters of a request that say this.
    pub(crate) fn query(self) -> Query {
        let direction = match (self.upstream, self.downstream) {
            (true, false) => "up",
            (false, true) => "down",
            _ => "both",
        };
        let depth = self.depth.map_or_else(|| "all".to_owned(), |depth| depth.to_string());
        vec![("direction", direction.to_owned()), ("depth", depth)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_a_number_or_all() {
        assert_eq!(depth("all"), Ok(Depth::All));
        assert_eq!(depth("3"), Ok(Depth::Steps(3)));
        for bad in ["-1", "", "some", "4294967296"] {
            assert!(depth(bad).is_err(), "{bad}");
        }
    }
}
