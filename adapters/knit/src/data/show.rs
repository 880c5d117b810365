//! `knit data show`.

use clap::Args;
use knit_schemas::api::DataDetail;

use crate::as_of::AsOf;
use crate::client::{self, Query};
use crate::error::{Ask, Error, Refusal, Subject};
use crate::ids::{self, Kind};
use crate::output;
use crate::session::Session;

/// Print a Data, or what became of it
///
/// The Data is printed as JSON with the Run that made it, its uses, and the Plans it fits. Of one that is gone, or
/// that was not there at the time of `--as-of`, it is said when it went and by whom, or when it was made.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    as_of: AsOf,
    /// Id of the Data
    #[arg(value_name = "KNIT_ID")]
    knit_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let client = session.client()?;
    let Arguments { as_of, knit_id } = arguments;
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
    Ok(output::json(&data)?)
}
