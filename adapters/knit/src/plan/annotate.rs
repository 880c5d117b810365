//! `knit plan annotate`.

use clap::Args;
use knit_schemas::api::{AnnotationChange, Pair, PlanDetail};
use reqwest::Method;

use super::show;
use crate::error::{Ask, Error, Subject};
use crate::form::{Form, Told as _};
use crate::ids::{self, Kind};
use crate::output;
use crate::pasted;
use crate::session::Session;

/// Add and remove annotations of a Plan, and print the Plan
///
/// Removal comes first. A key may have several values. Adding a pair that is there and removing one that is not
/// are no errors. Annotations are for people: no Run is made or missed because of them.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    /// Add this annotation; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = Pair::parse)]
    add: Vec<Pair>,
    /// Remove exactly this annotation; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = Pair::parse)]
    remove: Vec<Pair>,
    /// Remove every annotation with this key; may be repeated
    #[arg(long, value_name = "KEY")]
    remove_key: Vec<String>,
    #[command(flatten)]
    form: Form,
    /// Id of the Plan
    #[arg(value_name = "PLAN_ID")]
    plan_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { add, remove, remove_key, form, plan_id } = arguments;
    form.check(PlanDetail::FIELDS)?;
    for key in remove_key.iter().filter(|key| key.contains('=')) {
        output::say(format_args!(
            "warning: `{key}` looks like a whole annotation, not like a key; `{}` removes that one",
            pasted::options("--remove", [key]).trim_start()
        ));
    }
    let change = AnnotationChange { add, remove, remove_key };
    let client = session.client()?;
    let plan_id = ids::whole(&client, Kind::Plan, plan_id).await?;
    let ask = Ask::order("change", Subject::Plan(plan_id.clone()));
    let segments = ["plans", plan_id.as_str(), "annotations"];
    let plan: PlanDetail = client.change(&ask, Method::PUT, &segments, Some(&change)).await?;
    session.log.line(format_args!("the annotations of Plan `{plan_id}` are changed"));
    form.tell(&plan, show::lines)
}
