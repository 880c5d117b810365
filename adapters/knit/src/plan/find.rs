//! `knit plan find`.

use clap::Args;
use knit_schemas::api::{PlanDetail, Tag};
use knit_schemas::image;

use crate::choice::Choice;
use crate::client::Query;
use crate::error::{Ask, Error, Subject};
use crate::output;
use crate::session::Session;

/// Find Plans and print them as a JSON array
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
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    if arguments.image.as_deref().is_some_and(|image| image::split_tag(image).0.is_empty()) {
        return Err(Error::Usage("`--image` needs the name of an image, such as `host` or `host:latest`".to_owned()));
    }
    let ask = Ask::question("find", Subject::AnyPlan);
    let body = session.client()?.get_bytes(&ask, &["plans"], query(&arguments)).await?;
    output::json_array(&body, |_: &PlanDetail| true)?.map_err(|source| Error::Unintelligible { ask, source })
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
