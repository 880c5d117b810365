//! `knit plan apply`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use knit_schemas::api::PlanDetail;
use reqwest::Method;

use super::{doubtful_limits, file};
use crate::error::{Ask, Error, Subject};
use crate::output;
use crate::session::Session;

/// Register a Plan and print it
///
/// A Plan cannot be registered twice: when an equivalent one exists, that one is named.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// YAML or JSON file that describes the Plan; `-` reads standard input
    #[arg(value_name = "PLAN_FILE")]
    file: PathBuf,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let text = read(&arguments.file)?;
    if file::is_blank(&text) {
        return Err(Error::EmptyPlan { path: arguments.file });
    }
    let parsed = file::parse(&text).map_err(|source| Error::Yaml { path: arguments.file.clone(), source })?;
    for warning in parsed.warnings.iter().chain(&doubtful_limits(&parsed.spec.resources)) {
        output::say(format_args!("warning: {}: {warning}", arguments.file.display()));
    }
    if !parsed.misspelt.is_empty() {
        return Err(Error::MisspeltPlan { path: arguments.file, keys: parsed.misspelt });
    }
    let ask = Ask::order("register", Subject::NewPlan);
    let plan: PlanDetail = session.client()?.change(&ask, Method::POST, &["plans"], Some(&parsed.spec)).await?;
    Ok(output::json(&plan)?)
}

fn read(path: &Path) -> Result<String, Error> {
    if path.as_os_str() != "-" {
        return std::fs::read_to_string(path).map_err(Error::file("read", path));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(Error::file("read", "standard input"))?;
    Ok(text)
}
