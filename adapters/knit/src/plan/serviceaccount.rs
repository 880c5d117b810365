//! `knit plan serviceaccount`.

use clap::Args;
use knit_schemas::api::{PlanDetail, ServiceAccount};
use reqwest::Method;

use super::show;
use crate::error::{Ask, Error, Subject};
use crate::form::{Form, Told as _};
use crate::ids::{self, Kind};
use crate::session::Session;

/// Set or remove the service account of a Plan's Workers, and print the Plan
///
/// Runs that start from now on use it; a failed Run does when it is retried.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    /// Let Workers use this account of the cluster
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
    /// Let Workers use none
    #[arg(long)]
    unset: bool,
    #[command(flatten)]
    form: Form,
    /// Id of the Plan
    #[arg(value_name = "PLAN_ID")]
    plan_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { set, unset, form, plan_id } = arguments;
    form.check(PlanDetail::FIELDS)?;
    let client = session.client()?;
    let plan_id = ids::whole(&client, Kind::Plan, plan_id).await?;
    let ask = Ask::order("change", Subject::Plan(plan_id.clone()));
    let segments = ["plans", plan_id.as_str(), "serviceaccount"];
    let (method, account) = match (set, unset) {
        (Some(name), false) if !name.is_empty() => (Method::PUT, Some(ServiceAccount { service_account: name })),
        (None, true) => (Method::DELETE, None),
        _ => return Err(Error::Usage("either `--set NAME` or `--unset`: which account is meant?".to_owned())),
    };
    let plan: PlanDetail = client.change(&ask, method, &segments, account.as_ref()).await?;
    session.log.line(format_args!("the service account of Plan `{plan_id}` is changed"));
    form.tell(&plan, show::lines)
}
