//! `knit plan find`.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use clap::Args;
use knit_schemas::api::{PlanDetail, Tag};
use knit_schemas::image;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::as_of::AsOf;
use crate::choice::Choice;
use crate::client::{self, Client, Query};
use crate::data::pinned;
use crate::error::{Ask, Error, Subject};
use crate::ids::{self, Kind};
use crate::listing::{self, Column, Listed, Order, Shape};
use crate::session::Session;

/// Plans whose order is asked for, which is as many as a server tells.
const PLANS_ORDERED_MAX: usize = 100_000;

/// Find Plans
///
/// In the order of their ids; in a table in that in which they were registered, and with `--newest` the other way round.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Which Plans to print by whether their Runs may start
    #[arg(long, value_enum, value_name = "WHICH", default_value = "both")]
    active: Choice,
    /// With exactly this image; without a tag, any of its tags
    #[arg(long, value_name = "IMAGE[:TAG]")]
    image: Option<String>,
    /// Some one input must ask for this tag; may be repeated, then all of them
    #[arg(long, short, value_name = "KEY:VALUE", value_parser = Tag::parse)]
    in_tag: Vec<Tag>,
    /// Some one output, or the log, must give this tag; may be repeated, then all of them
    #[arg(long, short, value_name = "KEY:VALUE", value_parser = Tag::parse)]
    out_tag: Vec<Tag>,
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    order: Order,
    #[command(flatten)]
    shape: Shape,
}

impl Listed for PlanDetail {
    const FIELDS: &'static [&'static str] = &[
        "planId",
        "image",
        "entrypoint",
        "args",
        "name",
        "annotations",
        "inputs",
        "outputs",
        "log",
        "active",
        "on_node",
        "resources",
        "service_account",
    ];
    const MANY: &'static str = "Plans";
    const IS_OLDEST_FIRST: bool = false;
    const COLUMNS: &'static [Column] = &[
        Column::ids("PLAN"),
        Column::words("ACTIVE"),
        Column::text("INPUTS", 1),
        Column::text("OUTPUTS", 1),
        Column::text("COMMAND", 1),
        Column::text("IMAGE", 2),
    ];

    fn id(&self) -> &str {
        &self.plan_id
    }

    fn cells(&self) -> Vec<String> {
        let inputs: Vec<String> = self.inputs.iter().map(|input| listing::tags(&input.tags)).collect();
        let outputs: Vec<String> = self.outputs.iter().map(|output| listing::tags(&output.tags)).collect();
        let summary = self.summary();
        vec![
            self.plan_id.clone(),
            if self.active { "yes" } else { "no" }.to_owned(),
            inputs.join(", "),
            outputs.join(", "),
            summary.command_line().unwrap_or_default(),
            listing::plan(&summary),
        ]
    }
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    if arguments.image.as_deref().is_some_and(|image| image::split_tag(image).0.is_empty()) {
        return Err(Error::Usage("`--image` needs the name of an image, such as `host` or `host:latest`".to_owned()));
    }
    arguments.shape.check::<PlanDetail>()?;
    let ask = Ask::question("find", Subject::AnyPlan);
    let client = session.client()?;
    let body = client.get_bytes_as_of(&ask, &["plans"], query(&arguments), &arguments.as_of).await?;
    let (body, order) = in_order(&client, &ask, body, &arguments).await?;
    arguments.shape.print(&body, ask, order, |_: &PlanDetail| true)?;
    ids::say_unknown(&client, Kind::Data, &pinned(&arguments.in_tag), &arguments.as_of).await;
    Ok(())
}

/// The Plans that were found, in the order in which they are wanted, and that order.
async fn in_order(client: &Client, ask: &Ask, body: Bytes, arguments: &Arguments) -> Result<(Bytes, Order), Error> {
    let order = arguments.order;
    if order.is_newest_first() {
        return Ok((by_registration(client, ask, &body).await?, order));
    }
    if !arguments.shape.is_for_people() {
        return Ok((body, order));
    }
    // Nobody asked for this, so where it cannot be had, they come in the order of their ids.
    Ok(match by_registration(client, ask, &body).await {
        Ok(body) => (body, order.by_time()),
        Err(_) => (body, order),
    })
}

/// The Plans that were found, the one that was registered first at the beginning. Their details do not say
/// when that was, but a server that knows ids by their beginnings tells them in that order.
async fn by_registration(client: &Client, found: &Ask, body: &[u8]) -> Result<Bytes, Error> {
    let ids: Vec<Identified> = client::understand(found, body)?;
    // As they came: they are decoded where they are printed.
    let plans: Vec<&RawValue> = client::understand(found, body)?;
    let ask = Ask::question("order", Subject::AnyPlan);
    let all = vec![("of", "plan".to_owned()), ("limit", PLANS_ORDERED_MAX.to_string())];
    let newest_first: Vec<String> = client.get(&ask, &["ids"], all).await.map_err(Error::if_unable)?;
    let positions: HashMap<&str, usize> = newest_first.iter().map(String::as_str).rev().zip(1..).collect();
    let position = |plan: &Identified| positions.get(plan.plan_id.as_str()).copied().unwrap_or_default();
    let mut plans: Vec<_> = ids.iter().map(position).zip(plans).collect();
    plans.sort_by_key(|(position, _)| *position);
    let plans: Vec<&RawValue> = plans.into_iter().map(|(_, plan)| plan).collect();
    Ok(serde_json::to_vec(&plans).map_err(io::Error::from)?.into())
}

/// A Plan, of which no more is wanted than its id.
#[derive(Deserialize)]
struct Identified {
    #[serde(rename = "planId")]
    plan_id: String,
}

fn query(arguments: &Arguments) -> Query {
    let mut query = Query::new();
    query.extend(arguments.active.wanted().map(|active| ("active", active.to_string())));
    query.extend(arguments.image.as_deref().map(|image| ("image", with_colon(image))));
    query.extend(arguments.in_tag.iter().map(|tag| ("in_tag", tag.to_string())));
    query.extend(arguments.out_tag.iter().map(|tag| ("out_tag", tag.to_string())));
    query
}

/// On the wire an image always has a colon; nothing behind it means any tag.
fn with_colon(image: &str) -> String {
    let (repository, tag) = image::split_tag(image);
    format!("{repository}:{}", tag.unwrap_or_default())
}
