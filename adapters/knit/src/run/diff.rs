//! `knit run diff`.

use clap::Args;

use crate::as_of::AsOf;
use crate::difference::ask_and_tell;
use crate::error::Error;
use crate::form::Form;
use crate::ids::Kind;
use crate::session::Session;

/// Say in what the histories of two Runs differ
///
/// Both histories are followed upstream in step. Told are the ancestors at the same place that are not the same, those
/// nearest to the two first, and in what they differ: tags, Plan, image, arguments, resources, exit.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    form: Form,
    /// Id of the one Run
    #[arg(value_name = "RUN_ID")]
    left: String,
    /// Id of the other
    #[arg(value_name = "RUN_ID")]
    right: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { as_of, form, left, right } = arguments;
    ask_and_tell(&session.client()?, Kind::Run, (left, right), &as_of, &form).await
}
