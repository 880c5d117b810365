//! Folding: how fast the projections take what the log hands out.

use std::time::Instant;

use anyhow::Context as _;
use knit_domain::event::Recorded;
use knit_log::Log;
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;

use crate::bench::{Bench, Content, Kind};
use crate::plot::{Group, Plot};
use crate::read::{PAGE, decoded};
use crate::report::Outcome;
use crate::row::{Row, rate};
use crate::statistics::Sample;

/// Seconds of one pass over the whole log.
#[derive(Default)]
struct Pass {
    /// Until the last event was read, with everything.
    all: f64,
    store: f64,
    matcher: f64,
    worklists: f64,
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let filled = bench.filled(Kind::Postgres, Content::Events)?;
    let per_second = |seconds: f64| filled.events as f64 / seconds;
    let (mut read, mut passes) = (Vec::new(), Vec::new());
    bench.tokio.block_on(async {
        let log = filled.place.open().await?;
        decoded(&log).await?;
        for _ in 0..bench.sizes.rounds {
            read.push(per_second(decoded(&log).await?));
            passes.push(pass(&log).await?);
        }
        log.close().await;
        anyhow::Ok(())
    })?;
    let of = |seconds: fn(&Pass) -> f64| Sample::of(passes.iter().map(|pass| per_second(seconds(pass))));
    let (read, store) = (Sample::of(read), of(|pass| pass.store));
    let followed = of(|pass| pass.all - pass.matcher - pass.worklists);
    let all = of(|pass| pass.all);
    let (matcher, worklists) = (of(|pass| pass.matcher), of(|pass| pass.worklists));
    let note = format!(
        "the projections alone, without reading: catalog and lineage {}, matcher {}, worklists {}",
        rate(store.median()),
        rate(matcher.median()),
        rate(worklists.median())
    );
    let rows = vec![
        Row::rates("fold of catalog and lineage, reading included", 0.5, &followed, "the ordered read", &read)
            .note(note),
        Row::tells("fold of all three projections, reading included", rate(all.median()))
            .beside("the ordered read", &rate(read.median()), all.median() / read.median())
            .value("measured_per_s", all.median()),
    ];
    let bars = [
        ("read and decode", &read),
        ("read, then fold the store", &followed),
        ("read, then fold all three", &all),
        ("store alone", &store),
        ("matcher alone", &matcher),
        ("worklists alone", &worklists),
    ];
    let bars = bars.map(|(name, sample)| (name.to_owned(), sample.median())).to_vec();
    let plot =
        Plot::bars("Folding the log", "events per second", vec![Group { name: String::new(), bars, target: None }]);
    Ok(Outcome { rows, plots: vec![plot], remarks: Vec::new() })
}

async fn pass(log: &Log) -> anyhow::Result<Pass> {
    let (mut store, mut matcher, mut worklists) = <(Store, Matcher, Worklists)>::default();
    let (begun, mut pass, mut after) = (Instant::now(), Pass::default(), 0);
    let mut pages = log.read_ahead(PAGE);
    loop {
        let events = pages.read(after).await?;
        let Some(last) = events.last() else { break };
        after = last.position;
        pass.store += folded(&mut store, &events)?;
        pass.matcher += folded(&mut matcher, &events)?;
        pass.worklists += folded(&mut worklists, &events)?;
    }
    pass.all = begun.elapsed().as_secs_f64();
    Ok(pass)
}

fn folded<P: Projection>(projection: &mut P, events: &[Recorded]) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for event in events {
        projection.apply(event).context("a history contradicts nothing")?;
    }
    Ok(begun.elapsed().as_secs_f64())
}
