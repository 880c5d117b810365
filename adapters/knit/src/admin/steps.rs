//! What a rebuild or a switch back tells, step by step.

use std::future::Future;
use std::pin::pin;

use knit_schemas::api::{RebuildDifference, RebuildStep};
use reqwest::{Method, Response};
use serde::Serialize;

use super::lines;
use crate::client::Client;
use crate::error::{Ask, Error, Subject};
use crate::output::Progress;
use crate::session::interrupted;

/// What was told until the end.
struct Told {
    /// Up to where it was folded already, if it went on with what was broken off.
    resumed: Option<u64>,
    /// What the comparison has shown, if it came to one.
    compared: Option<RebuildStep>,
    end: RebuildStep,
}

/// How one of them went.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    /// Of which projection.
    pub(super) projection: String,
    /// Up to where it was folded already, if it went on with what was broken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resumed: Option<u64>,
    /// What the comparison has shown, if it came to one.
    pub(super) compared: Option<RebuildStep>,
    /// How it ended.
    pub(super) end: RebuildStep,
    /// Whether Ctrl-C was pressed meanwhile; it may have come too late.
    #[serde(skip)]
    pub(super) by_ctrl_c: bool,
}

/// Lets the server do something with a projection, and shows how far it is; answers how it went.
///
/// After Ctrl-C the server is told to end it, and how it went is still waited for: it may have been done already, and
/// whoever sees nothing would not know. After another Ctrl-C nothing is waited for.
pub(super) async fn follow(
    client: &Client,
    verb: &'static str,
    (projection, action): (&str, &str),
    order: &(impl Serialize + Sync),
) -> Result<Outcome, Error> {
    let ask = Ask::order(verb, Subject::Projection(projection.to_owned()));
    let segments = ["admin", "projections", projection, action];
    let response = tokio::select! {
        response = client.order_stream(&ask, &segments, order) => response?,
        pressed = interrupted() => return Err(pressed),
    };
    let progress = Progress::of_events(projection.to_owned());
    let (ended, by_ctrl_c) = until_the_end_or_ctrl_c(&ask, response, &progress, cancel(client, projection)).await;
    progress.finish();
    let Told { resumed, compared, end } = ended?;
    Ok(Outcome { projection: projection.to_owned(), resumed, compared, end, by_ctrl_c })
}

async fn until_the_end_or_ctrl_c(
    ask: &Ask,
    response: Response,
    progress: &Progress,
    cancelling: impl Future<Output = Result<(), Error>>,
) -> (Result<Told, Error>, bool) {
    let mut following = pin!(until_the_end(ask, response, progress));
    tokio::select! {
        ended = &mut following => (ended, false),
        _ = interrupted() => tokio::select! {
            // That it cannot be ended any more, its end says as well.
            (ended, _) = async { tokio::join!(following, cancelling) } => (ended, true),
            pressed = interrupted() => (Err(pressed), true),
        },
    }
}

/// Ends what is being done with a projection, and waits until it has ended.
pub(super) async fn cancel(client: &Client, projection: &str) -> Result<(), Error> {
    let ask = Ask::order("end the rebuild of", Subject::Projection(projection.to_owned()));
    client.command(&ask, Method::DELETE, &["admin", "projections", projection, "rebuild"]).await
}

async fn until_the_end(ask: &Ask, response: Response, progress: &Progress) -> Result<Told, Error> {
    let (mut resumed, mut compared) = (None, None);
    let end = lines::until_the_end(ask, response, |step| match step {
        RebuildStep::Resumed { position } => {
            resumed = Some(position);
            None
        }
        RebuildStep::Folding { position, head, .. } => {
            progress.reach(position, head);
            None
        }
        step @ RebuildStep::Compared { .. } => {
            compared = Some(step);
            None
        }
        end @ (RebuildStep::Switched { .. }
        | RebuildStep::Verified { .. }
        | RebuildStep::Differs { .. }
        | RebuildStep::Cancelled { .. }
        | RebuildStep::Flawed { .. }
        | RebuildStep::Failed { .. }) => Some(end),
    });
    let end = end.await?;
    Ok(Told { resumed, compared, end })
}

impl Outcome {
    /// What went otherwise than it was wanted.
    pub(super) fn check(&self) -> Result<(), Error> {
        let projection = self.projection.clone();
        match &self.end {
            RebuildStep::Differs { .. } => Err(Error::Differs { projection }),
            RebuildStep::Cancelled { position, kept } => {
                Err(Error::Cancelled { projection, position: *position, kept: *kept, by_ctrl_c: self.by_ctrl_c })
            }
            RebuildStep::Flawed { why, .. } => {
                let ask = Ask::order("rebuild", Subject::Projection(projection));
                Err(Error::LogNotWhole { ask, why: why.clone() })
            }
            RebuildStep::Failed { why } => Err(Error::NotRebuilt { projection, why: why.clone() }),
            RebuildStep::Resumed { .. }
            | RebuildStep::Folding { .. }
            | RebuildStep::Compared { .. }
            | RebuildStep::Switched { .. }
            | RebuildStep::Verified { .. } => {
                if self.by_ctrl_c {
                    Err(Error::Interrupted)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// It in words.
    pub(super) fn lines(&self) -> Vec<String> {
        let name = &self.projection;
        let resumed = self.resumed.map(|position| {
            format!("{name}: folded on from position {position}, up to where one that was broken off had come")
        });
        let mut lines: Vec<String> = resumed.into_iter().collect();
        if let Some(RebuildStep::Compared { position, live, rebuilt, difference }) = &self.compared {
            lines.extend(compared(name, *position, (live, rebuilt), difference.as_ref()));
        }
        lines.extend(self.end_in_words());
        lines
    }

    fn end_in_words(&self) -> Vec<String> {
        let name = &self.projection;
        match &self.end {
            RebuildStep::Switched { position, held_us, kept, warning } => {
                let kept = if *kept { "; the one before is kept" } else { "" };
                let switched = format!("{name}: switched at position {position}, within {held_us} µs{kept}");
                let warning = warning.iter().map(|warning| format!("{name}: {warning}"));
                std::iter::once(switched).chain(warning).collect()
            }
            RebuildStep::Verified { position } => vec![format!("{name}: verified up to position {position}")],
            RebuildStep::Differs { .. } | RebuildStep::Cancelled { .. } => {
                vec![format!("{name}: nothing was switched")]
            }
            RebuildStep::Flawed { .. }
            | RebuildStep::Failed { .. }
            | RebuildStep::Resumed { .. }
            | RebuildStep::Folding { .. }
            | RebuildStep::Compared { .. } => Vec::new(),
        }
    }
}

fn compared(
    name: &str,
    position: u64,
    (live, rebuilt): (&str, &str),
    difference: Option<&RebuildDifference>,
) -> Vec<String> {
    if live == rebuilt {
        return vec![format!("{name}: both are equal at position {position}, digest {live}")];
    }
    let mut lines = vec![
        format!("{name}: they differ at position {position}"),
        format!("  digest of the live one     {live}"),
        format!("  digest of the rebuilt one  {rebuilt}"),
    ];
    if let Some(difference) = difference {
        let told = |record: &Option<String>| record.clone().unwrap_or_else(|| "nothing".to_owned());
        lines.push(format!("  the first entry that differs is in record {}", difference.record));
        lines.push(format!("  in the live one     {}", told(&difference.live)));
        lines.push(format!("  in the rebuilt one  {}", told(&difference.rebuilt)));
    }
    lines
}
