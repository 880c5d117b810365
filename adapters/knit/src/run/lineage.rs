//! `knit run lineage`.

use clap::Args;

use crate::error::Error;
use crate::ids::Kind;
use crate::lineage::print::Printing;
use crate::lineage::trace::Tracing;
use crate::session::Session;

/// Show where the inputs of a Run come from and what became of its outputs
///
/// Without a direction, both are traced. The Run is shown with all that it takes and makes; one step
/// of depth goes from a Data over a further Run to the next Data.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    tracing: Tracing,
    #[command(flatten)]
    printing: Printing,
    /// Id of the Run
    #[arg(value_name = "RUN_ID")]
    run_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { tracing, printing, run_id } = arguments;
    tracing.trace(Kind::Run, run_id, &printing, session).await
}
