//! `knit plan resource`.

use std::collections::BTreeMap;

use clap::Args;
use knit_schemas::api::{PlanDetail, ResourceChange};
use knit_schemas::quantity::Quantity;
use reqwest::Method;

use super::show;
use crate::error::{Ask, Error, Subject};
use crate::form::{Form, Told as _};
use crate::ids::{self, Kind};
use crate::output;
use crate::session::Session;

/// Change what the Runs of a Plan may use, and print the Plan
///
/// Runs that start from now on get the new limits; a failed Run gets them when it is retried. A type
/// that is both set and unset is unset.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    /// Limit this resource, such as `cpu=500m` or `memory=2Gi`; may be repeated
    #[arg(long, short, value_name = "TYPE=QUANTITY", value_parser = limit)]
    set: Vec<(String, Quantity)>,
    /// Remove the limit of this resource; may be repeated
    #[arg(long, short, value_name = "TYPE")]
    unset: Vec<String>,
    #[command(flatten)]
    form: Form,
    /// Id of the Plan
    #[arg(value_name = "PLAN_ID")]
    plan_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { set, unset, form, plan_id } = arguments;
    form.check(PlanDetail::FIELDS)?;
    if set.is_empty() && unset.is_empty() {
        session.log.line("Nothing to do.");
        return Ok(());
    }
    let set = BTreeMap::from_iter(set);
    for warning in super::doubtful_limits(&set) {
        output::say(format_args!("warning: {warning}"));
    }
    let change = ResourceChange { set, unset };
    let client = session.client()?;
    let plan_id = ids::whole(&client, Kind::Plan, plan_id).await?;
    let ask = Ask::order("change", Subject::Plan(plan_id.clone()));
    let segments = ["plans", plan_id.as_str(), "resources"];
    let plan: PlanDetail = client.change(&ask, Method::PUT, &segments, Some(&change)).await?;
    form.tell(&plan, show::lines)
}

fn limit(text: &str) -> Result<(String, Quantity), String> {
    let not_one = || format!("`{text}` is not a limit: write TYPE=QUANTITY, such as cpu=500m or memory=2Gi");
    let (kind, quantity) = text.split_once('=').ok_or_else(not_one)?;
    let quantity = Quantity::parse(quantity.trim()).map_err(|malformed| malformed.to_string())?;
    match kind.trim() {
        "" => Err(not_one()),
        kind if quantity.milli() < 0 => Err(format!("a limit cannot be negative, as `{kind}={quantity}` is")),
        kind => Ok((kind.to_owned(), quantity)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_type_and_a_quantity() {
        let (kind, quantity) = limit("memory = 2Gi").unwrap();
        assert_eq!((kind.as_str(), quantity.to_string().as_str()), ("memory", "2Gi"));
        for bad in ["cpu", "=1", "cpu=", "cpu=1=2", "cpu=many", "memory=-1"] {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }
}
