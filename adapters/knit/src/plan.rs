//! `knit plan …`.

mod active;
mod annotate;
mod apply;
mod count;
pub(crate) mod file;
mod find;
mod graph;
mod resource;
mod serviceaccount;
mod show;
pub(crate) mod template;
mod why_not;

use std::collections::BTreeMap;

use clap::Subcommand;
use knit_schemas::quantity::Quantity;

use crate::error::Error;
use crate::session::{Session, block_on};

/// Register, find, show, change, activate and deactivate Plans
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Show(show::Arguments),
    Find(find::Arguments),
    Graph(graph::Arguments),
    WhyNot(why_not::Arguments),
    Apply(apply::Arguments),
    Template(template::Arguments),
    Active(active::Arguments),
    Resource(resource::Arguments),
    Annotate(annotate::Arguments),
    #[command(name = "serviceaccount")]
    ServiceAccount(serviceaccount::Arguments),
}

impl Command {
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Show(_) => "plan show",
            Self::Find(_) => "plan find",
            Self::Graph(_) => "plan graph",
            Self::WhyNot(_) => "plan why-not",
            Self::Apply(_) => "plan apply",
            Self::Template(_) => "plan template",
            Self::Active(_) => "plan active",
            Self::Resource(_) => "plan resource",
            Self::Annotate(_) => "plan annotate",
            Self::ServiceAccount(_) => "plan serviceaccount",
        }
    }

    pub(crate) fn run(self, session: &Session) -> Result<(), Error> {
        match self {
            Self::Show(arguments) => block_on(show::run(arguments, session)),
            Self::Find(arguments) => block_on(find::run(arguments, session)),
            Self::Graph(arguments) => block_on(graph::run(arguments, session)),
            Self::WhyNot(arguments) => block_on(why_not::run(arguments, session)),
            Self::Apply(arguments) => block_on(apply::run(arguments, session)),
            Self::Template(arguments) => template::run(&arguments, session),
            Self::Active(arguments) => block_on(active::run(arguments, session)),
            Self::Resource(arguments) => block_on(resource::run(arguments, session)),
            Self::Annotate(arguments) => block_on(annotate::run(arguments, session)),
            Self::ServiceAccount(arguments) => block_on(serviceaccount::run(arguments, session)),
        }
    }
}

/// Less than this much memory is too little for any program, and most likely a slip of the unit.
const MEMORY_BYTES_MIN: i128 = 1 << 20;

/// Warnings about limits with which no Run can start.
fn doubtful_limits(limits: &BTreeMap<String, Quantity>) -> Vec<String> {
    let warning = |(resource, limit): (&String, &Quantity)| {
        if limit.milli() < 0 {
            Some(format!("`{resource}: {limit}` is negative: no Run can have that"))
        } else if resource == "memory" && limit.units() < MEMORY_BYTES_MIN {
            let bytes = match limit.units() {
                1 => "1 byte".to_owned(),
                bytes => format!("{bytes} bytes"),
            };
            Some(format!("`memory: {limit}` is {bytes}, too little for any Run; a mebibyte is written `1Mi`"))
        } else {
            None
        }
    };
    limits.iter().filter_map(warning).collect()
}
