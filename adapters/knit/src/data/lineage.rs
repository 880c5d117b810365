//! `knit data lineage`.

use clap::Args;

use crate::error::Error;
use crate::ids::Kind;
use crate::lineage::print::Printing;
use crate::lineage::trace::Tracing;
use crate::session::Session;

/// Show where a Data comes from and what was made from it
///
/// Without a direction, both are traced. One step of depth goes from a Data over a Run to the next
/// Data.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    tracing: Tracing,
    #[command(flatten)]
    printing: Printing,
    /// Id of the Data
    #[arg(value_name = "KNIT_ID")]
    knit_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { tracing, printing, knit_id } = arguments;
    tracing.trace(Kind::Data, knit_id, &printing, session).await
}
