//! Which part of the lineage is wanted, and how it is fetched: by one request, or node by node.

use std::mem;

use bytes::Bytes;
use clap::Args;
use clap::builder::PossibleValuesParser;
use knit_schemas::api::{LineageGraph, LineageRun, Tag};
use knit_schemas::lineage::graph::Graph;

use super::limit::{Limit, NOT_ALL};
use super::print::{Printing, Shape};
use super::reach::{Extent, Reach};
use super::tree::Sought;
use super::walk;
use crate::as_of::AsOf;
use crate::client::{self, Client};
use crate::error::{Ask, Error};
use crate::follow::{self, Following, Shown};
use crate::ids::{self, Kind};
use crate::output;
use crate::run::STATUSES;
use crate::session::Session;

/// What is traced, and what of it is shown.
#[derive(Debug, Args)]
pub(crate) struct Tracing {
    #[command(flatten)]
    reach: Reach,
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
    #[command(flatten)]
    following: Following,
}

/// What is asked, with whole ids.
struct Question<'a> {
    client: &'a Client,
    kind: Kind,
    id: String,
    extent: Extent,
    plan: Vec<String>,
    limit: Limit,
}

impl Tracing {
    /// Fetches the lineage of a thing of which `typed` is the id or its beginning, and prints it; again and again, if
    /// it is followed.
    pub(crate) async fn trace(
        &self,
        kind: Kind,
        typed: String,
        printing: &Printing,
        session: &Session,
    ) -> Result<(), Error> {
        self.following.check(&self.as_of)?;
        printing.check()?;
        let extent = self.reach.extent();
        let client = &session.client()?;
        let id = ids::whole_as_of(client, kind, typed, &self.as_of).await?;
        let plan = ids::all_whole_as_of(client, Kind::Plan, self.plan.clone(), &self.as_of).await?;
        let question = Question { client, kind, id, extent, plan, limit: printing.limit };
        if self.following.is_wanted() {
            return follow::follow(client, async || self.look(&question, printing, session).await).await;
        }
        if let Some((ask, answer, _)) = self.ask_once(&question).await? {
            let graph = client::understand(&ask, &answer)?;
            printing.print(&graph, self.shape(), session)?;
            ids::say_unknown(client, Kind::Plan, &question.plan, &self.as_of).await;
            // The program ends now. Taking a graph of 10⁵ nodes apart would take as long as half of drawing it.
            mem::forget(graph);
            return Ok(());
        }
        let (graph, is_all) = self.walk(&question).await?;
        printing.print(&Graph::from(&graph), self.shape(), session)?;
        if !is_all {
            output::say(NOT_ALL);
        }
        Ok(())
    }

    /// Everything around the start, and what the filters are for.
    fn shape(&self) -> Shape {
        let runs = !self.plan.is_empty() || !self.status.is_empty();
        Shape::Around(Sought { data: !self.tag.is_empty(), runs })
    }

    /// One of the answers of whoever follows.
    async fn look(&self, question: &Question<'_>, printing: &Printing, session: &Session) -> Result<Shown, Error> {
        let shown = |graph: &Graph<'_>| printing.one_of_many(graph, self.shape(), session);
        match self.ask_once(question).await? {
            Some((ask, answer, position)) => Ok((shown(&client::understand(&ask, &answer)?)?, position)),
            None => Ok((shown(&Graph::from(&self.walk(question).await?.0))?, None)),
        }
    }

    /// The answer to one request for the whole graph, and its position; `None` from a server that does not know it.
    async fn ask_once(&self, question: &Question<'_>) -> Result<Option<(Ask, Bytes, Option<u64>)>, Error> {
        let Question { client, kind, id, extent, plan, limit } = question;
        let mut query = extent.query();
        query.extend(limit.query());
        query.extend(self.tag.iter().map(|tag| ("tag", tag.to_string())));
        let lists = [("plan", plan), ("status", &self.status)];
        query.extend(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name, list.join(","))));
        let ask = Ask::question("trace", kind.one(id));
        match client.get_bytes_at_as_of(&ask, &[kind.route(), id, "lineage"], query, &self.as_of).await {
            Ok((answer, position)) => Ok(Some((ask, answer, position))),
            Err(Error::Refused(refusal)) if refusal.is_unknown_route() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same node by node, and whether it is all of it.
    async fn walk(&self, question: &Question<'_>) -> Result<(LineageGraph, bool), Error> {
        let Question { client, kind, id, extent, plan, limit } = question;
        if self.as_of.is_past() {
            return Err(Error::NoPast);
        }
        let mut graph = match kind {
            Kind::Run => walk::fetch_around_run(client, id, *extent).await?,
            Kind::Data | Kind::Plan => walk::fetch(client, id, *extent).await?,
        };
        self.select(&mut graph, plan);
        let is_cut = limit.cut(&mut graph);
        Ok((graph, !is_cut))
    }

    /// Leaves out what a server would not have shown.
    fn select(&self, graph: &mut LineageGraph, plan: &[String]) {
        let start = graph.start.as_str();
        graph.data.retain(|data| data.knit_id == start || self.tag.iter().all(|tag| data.tags.contains(tag)));
        let is_in = |list: &[String], text: &String| list.is_empty() || list.contains(text);
        let shown = |plan_id: &String, status: &String| is_in(plan, plan_id) && is_in(&self.status, status);
        graph.runs.retain(|run| run.run_id == start || shown(&run.plan_id, &run.status));
        if !plan.is_empty() || !self.status.is_empty() {
            let is_touched = |id: &String| {
                let touches = |run: &LineageRun| {
                    run.inputs.iter().chain(&run.outputs).any(|edge| edge.knit_id == *id)
                        || run.log.as_ref() == Some(id)
                };
                graph.runs.iter().any(touches)
            };
            graph.data.retain(|data| data.knit_id == start || is_touched(&data.knit_id));
        }
        graph.plans.retain(|plan| graph.runs.iter().any(|run| run.plan_id == plan.plan_id));
        graph.cut.retain(|id| graph.data.iter().any(|data| data.knit_id == *id));
    }
}
