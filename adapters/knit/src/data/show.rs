//! `knit data show`.

use clap::Args;
use knit_schemas::api::{DataDetail, PlanSummary};

use crate::as_of::AsOf;
use crate::client::{self, Query};
use crate::error::{Ask, Error, Refusal, Subject};
use crate::form::Form;
use crate::ids::{self, Kind};
use crate::listing::{self, Listed as _};
use crate::session::Session;
use crate::telling::{self, counted, first, is_too_many};

/// Print a Data, or what became of it
///
/// The Data is printed with the Run that made it, its uses, and the Plans it fits: on a terminal in a few lines, else
/// as JSON with all of them. Of one that is gone, or that was not there at the time of `--as-of`, it is said when it
/// went and by whom, or when it was made.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    form: Form,
    /// Id of the Data
    #[arg(value_name = "KNIT_ID")]
    knit_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { as_of, form, knit_id } = arguments;
    form.check(DataDetail::FIELDS)?;
    let client = session.client()?;
    let knit_id = ids::whole_as_of(&client, Kind::Data, knit_id, &as_of).await?;
    let ask = Ask::question("show", Subject::Data(knit_id.clone()));
    let data: DataDetail = match client.get_bytes_as_of(&ask, &["data", &knit_id, "detail"], Query::new(), &as_of).await
    {
        Ok(body) => client::understand(&ask, &body)?,
        Err(Error::Refused(refusal)) if refusal.is_unknown_route() && as_of.is_past() => return Err(Error::NoPast),
        // An original server shows one Data among those that are found.
        Err(Error::Refused(refusal)) if refusal.is_unknown_route() => {
            let query = vec![("tag", format!("knit#id:{knit_id}"))];
            let found: Vec<DataDetail> = client.get(&ask, &["data"], query).await?;
            found.into_iter().next().ok_or_else(|| Refusal::missing(ask, "not found".to_owned()))?
        }
        Err(error) => return Err(error),
    };
    form.tell(&data, lines)
}

fn lines(data: &DataDetail) -> Vec<String> {
    let run = &data.upstream.run;
    let point = match (&data.upstream.mountpoint, &data.upstream.log) {
        (Some(output), _) => format!("output {}", output.path),
        (None, _) => "log".to_owned(),
    };
    let mut lines = vec![format!("Data {}", data.knit_id), format!("  tags: {}", user_tags(data))];
    lines.extend(moment(data));
    lines.push(format!("{point} of Run {}, which is {}", run.run_id, run.status));
    lines.push(format!("  of {}", plan(&run.plan)));
    lines.push(match data.downstreams.len() as u64 {
        0 => "no Run uses it".to_owned(),
        uses => format!("used by {}", counted(uses, "Run", "Runs")),
    });
    lines.extend(first(&data.downstreams, |used| {
        format!(
            "  {} by Run {} ({}) of {}",
            used.mountpoint.path,
            used.run.run_id,
            used.run.status,
            plan(&used.run.plan)
        )
    }));
    lines.extend(fits(data));
    if is_too_many(&data.downstreams) || is_too_many(&data.nomination) {
        lines.push(format!("hint: `knit data show -o json {}` prints all of it", data.knit_id));
    }
    lines
}

/// What is told of a Data that has just come: what it is, and what may start by itself now.
pub(super) fn brief(data: &DataDetail) -> Vec<String> {
    let mut lines = vec![format!("Data {}", data.knit_id), format!("  tags: {}", user_tags(data))];
    lines.extend(fits(data));
    lines
}

/// Which inputs it fits.
fn fits(data: &DataDetail) -> Vec<String> {
    let title = match data.nomination.len() as u64 {
        0 => "it fits no input of a Plan".to_owned(),
        inputs => format!("it fits {}", counted(inputs, "input of a Plan", "inputs of Plans")),
    };
    let inputs = first(&data.nomination, |fits| format!("  {} of {}", fits.path, plan(&fits.plan)));
    std::iter::once(title).chain(inputs).collect()
}

/// The tags that people gave it.
pub(super) fn user_tags(data: &DataDetail) -> String {
    telling::tags(data.tags.iter().filter(|tag| !tag.is_system()))
}

/// When it was made, or that it is not.
fn moment(data: &DataDetail) -> Option<String> {
    let system = |key: &str| data.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.clone());
    let made = system("knit#timestamp").map(|made| format!("  made: {}", listing::local(&made)));
    made.or_else(|| system("knit#transient").map(|state| format!("  not made: {state}")))
}

fn plan(plan: &PlanSummary) -> String {
    format!("Plan {} ({})", plan.plan_id, listing::plan(plan))
}
