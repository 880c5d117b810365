//! `knit plan active`.

use clap::{Args, ValueEnum};
use knit_schemas::api::PlanDetail;
use reqwest::Method;

use super::show;
use crate::error::{Ask, Error, Subject};
use crate::form::{Form, Told as _};
use crate::ids::{self, Kind};
use crate::session::Session;

/// Activate or deactivate a Plan and print it
///
/// Runs of an inactive Plan are made but do not start.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    /// Whether the Plan's Runs may start
    #[arg(value_enum, value_name = "yes|no", hide_possible_values = true)]
    active: YesOrNo,
    #[command(flatten)]
    form: Form,
    /// Id of the Plan
    #[arg(value_name = "PLAN_ID")]
    plan_id: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum YesOrNo {
    Yes,
    No,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { active, form, plan_id } = arguments;
    form.check(PlanDetail::FIELDS)?;
    let (verb, method) = match active {
        YesOrNo::Yes => ("activate", Method::PUT),
        YesOrNo::No => ("deactivate", Method::DELETE),
    };
    let client = session.client()?;
    let plan_id = ids::whole(&client, Kind::Plan, plan_id).await?;
    let ask = Ask::order(verb, Subject::Plan(plan_id.clone()));
    let plan: PlanDetail = client.change(&ask, method, &["plans", &plan_id, "active"], None::<&()>).await?;
    form.tell(&plan, show::lines)
}
