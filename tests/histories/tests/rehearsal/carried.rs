//! The history is exported, and imported into an empty log elsewhere: there it is the same.

use std::collections::BTreeSet;

use knit_domain::event::Recorded;
use knit_log::Log;
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;
use knit_schemas::export::{Begin, End, Format, Record, Splitter, Verification, check_and_keep};
use proptest::prelude::*;

use super::{PAGE, Place, Rehearsal, failed};

/// Bytes that come at once: fewer than most records have.
const PIECE_BYTES: usize = 100;
/// Rows beside the events that are written at once: several times in a short history.
const TOGETHER: usize = 50;

/// Places for logs on both databases, used again and again.
pub(super) struct Elsewhere([Place; 2]);

impl Elsewhere {
    pub(super) fn new() -> Self {
        Self([Place::sqlite(), Place::postgresql()])
    }
}

impl Rehearsal<'_> {
    /// Carries the history to both databases, in one format each, and looks at all that the model knows.
    pub(super) async fn is_the_same_elsewhere(
        &mut self,
        Elsewhere(places): &Elsewhere,
        events: &[Recorded],
    ) -> Result<(), TestCaseError> {
        let formats = [Format::JsonLines, Format::Protobuf];
        let own = std::mem::take(&mut self.logs);
        for (place, n) in places.iter().zip(events.len()..) {
            let format = formats[n % formats.len()];
            let export = exported(&own[0], format).await?;
            place.clear();
            self.logs = place.open().await;
            let mut newest = self.logs[1].subscribe();
            import(&self.logs[0], &export).await?;
            let heard = newest.wait_for(|position| *position == events.len() as u64).await;
            prop_assert!(heard.is_ok());
            drop(heard);
            prop_assert_eq!(exported(&self.logs[1], format).await?, export, "byte for byte");
            let there = self.compare_everything().await?;
            prop_assert_eq!(&there, events);
            prop_assert_eq!(digests(&there)?, digests(events)?);
            for log in self.logs.drain(..) {
                log.close().await;
            }
        }
        self.logs = own;
        Ok(())
    }
}

/// The whole log, as it is stored.
pub(crate) async fn exported(log: &Log, format: Format) -> Result<Vec<u8>, TestCaseError> {
    let head = log.head().await.map_err(failed)?;
    let (mut export, mut after) = (Vec::new(), 0);
    format.encode(&Record::Begin(Begin::of_the_log()), &mut export);
    while after < head.position {
        for event in log.read_unchecked(after, PAGE).await.map_err(failed)? {
            after = event.position;
            format.encode(&Record::Event(event.into()), &mut export);
        }
    }
    format.encode(&Record::End(End { position: head.position, chain: head.chain }), &mut export);
    Ok(export)
}

/// Imports it into an empty log, in pages that end anywhere.
pub(crate) async fn import(log: &Log, export: &[u8]) -> Result<(), TestCaseError> {
    let mut import = log.import().await.map_err(failed)?.together(TOGETHER);
    let (mut splitter, mut verification) = (Splitter::default(), Verification::default());
    let mut batches: Vec<_> = export.chunks(PIECE_BYTES).filter_map(|piece| splitter.push(piece)).collect();
    batches.push(splitter.finish());
    for batch in batches {
        let (checked, events) = check_and_keep(&batch, &BTreeSet::new());
        verification.take(checked).map_err(failed)?;
        // Pages may end anywhere.
        for page in events.chunks(PAGE) {
            let page = log.import_page(page.to_vec()).map_err(failed)?;
            import.write(&page.expect("a chunk has events")).await.map_err(failed)?;
        }
    }
    let verified = verification.finish().map_err(failed)?;
    prop_assert_eq!(import.commit().await.map_err(failed)?, verified.position);
    Ok(())
}

/// What the events come to in each projection.
fn digests(events: &[Recorded]) -> Result<[[u8; 32]; 3], TestCaseError> {
    Ok([digest::<Store>(events)?, digest::<Matcher>(events)?, digest::<Worklists>(events)?])
}

fn digest<P: Projection>(events: &[Recorded]) -> Result<[u8; 32], TestCaseError> {
    let mut projection = P::default();
    events.iter().try_for_each(|event| projection.apply(event)).map_err(failed)?;
    Ok(projection.digest())
}
