//! Pushing and pulling: both programs and the disk, beside the same bytes through pipes of `tar` and `gzip`.

mod files;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use knit_tests::server::Setup;
use knit_tests::workshop::Workshop;

use crate::bench::Bench;
use crate::plot::{Group, Plot};
use crate::process::seconds_of;
use crate::report::Outcome;
use crate::row::{Row, bytes, spread};
use crate::statistics::Sample;
use crate::wire::Wire;
use files::{large_files, small_files};

/// What our client compresses with, and what the original's does.
const LEVELS: [u32; 2] = [1, 6];

/// What a transfer is compared with.
const PIPE: &str = "tar c | gzip -1 | gzip -d | tar x, then sync";

/// Seconds of everything that is done with one directory.
#[derive(Default)]
struct Times {
    pipe: Vec<f64>,
    push: Vec<f64>,
    pull: Vec<f64>,
}

impl Times {
    fn samples(&self) -> (Sample, Sample, Sample) {
        let of = |times: &[f64]| Sample::of(times.iter().copied());
        (of(&self.pipe), of(&self.push), of(&self.pull))
    }
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let (large, small) = (bench.new_dir("large-")?, bench.new_dir("small-")?);
    large_files(&large, bench.sizes.transfer_bytes)?;
    small_files(&small, bench.sizes.files)?;
    let shop = Workshop::with(Setup::new().logging("info"));
    let (mut of_large, mut of_small, mut of_original) = <(Times, Times, Times)>::default();
    // Before anything is removed, and what they make stays: see [`round`].
    for _ in 0..bench.sizes.rounds {
        round(bench, &shop, &small, &mut of_small)?;
    }
    for _ in 0..bench.sizes.rounds {
        remove(&round(bench, &shop, &large, &mut of_large)?)?;
        round_of_original(bench, &shop, &large, &mut of_original)?;
    }
    let size = bytes(bench.sizes.transfer_bytes as f64);
    let small_files = format!("{} small files", bench.sizes.files);
    let mut rows = rows_of_large(&size, &of_large);
    rows.extend(rows_of_small(&small_files, &of_small));
    rows.extend(rows_of_original(&size, &of_original));
    let mut outcome = Outcome { rows, ..Outcome::default() };
    outcome.plots.push(plot(&[(&size, &of_large), (&small_files, &of_small), ("like the original", &of_original)]));
    outcome.remarks.push(
        "Transfers: the embedded default on loopback, everything on one disk. The large files are half words, half \
         noise. The small files go first, and nothing is removed before all of their rounds are over. The original's \
         client is stood in for by its way of packing: `tar | gzip -6` into the request, and \
         the response into `gzip -d | tar x`."
            .to_owned(),
    );
    Ok(outcome)
}

/// Pipes, pushes and pulls a directory once; answers the two directories that this made.
///
/// They are still there: whenever ext4 without a journal makes a file, it steps over each inode that was freed in
/// the last minutes. To remove many small files here would cost whatever is measured next several times its time.
fn round(bench: &Bench, shop: &Workshop, from: &Path, times: &mut Times) -> anyhow::Result<[PathBuf; 2]> {
    let piped_to = bench.new_dir("piped-")?;
    times.pipe.push(piped(from, &piped_to, LEVELS[0])?);
    let begun = Instant::now();
    let id = shop.push_directory(from, &["bench:transfer"]);
    times.push.push(begun.elapsed().as_secs_f64());
    sync()?;
    let begun = Instant::now();
    let pulled_to = shop.pull(&id);
    sync()?;
    times.pull.push(begun.elapsed().as_secs_f64());
    Ok([piped_to, pulled_to])
}

fn remove(directories: &[PathBuf]) -> anyhow::Result<()> {
    directories.iter().try_for_each(std::fs::remove_dir_all)?;
    sync()
}

/// The same with a client that packs as the original's does.
fn round_of_original(bench: &Bench, shop: &Workshop, from: &Path, times: &mut Times) -> anyhow::Result<()> {
    let to = bench.new_dir("piped-")?;
    times.pipe.push(piped(from, &to, LEVELS[1])?);
    std::fs::remove_dir_all(&to)?;
    sync()?;
    let begun = Instant::now();
    let pack = format!("find . -type f -printf '%P\\0' | tar --null -T - -c | gzip -{}", LEVELS[1]);
    let mut packing = Command::new("sh").args(["-c", &pack]).current_dir(from).stdout(Stdio::piped()).spawn()?;
    let archive = packing.stdout.take().context("the output is a pipe")?;
    let data = Wire::to(shop.server.address())?.upload("/api/data", archive)?;
    anyhow::ensure!(packing.wait()?.success(), "{pack} failed");
    times.push.push(begun.elapsed().as_secs_f64());
    sync()?;
    let id = data["knitId"].as_str().context("an upload answers an id")?;
    let to = bench.new_dir("pulled-")?;
    let begun = Instant::now();
    let mut unpacking =
        Command::new("sh").args(["-c", "gzip -d | tar x"]).current_dir(&to).stdin(Stdio::piped()).spawn()?;
    let mut archive = unpacking.stdin.take().context("the input is a pipe")?;
    Wire::to(shop.server.address())?.fetch_into(&format!("/api/data/{id}"), &mut archive)?;
    drop(archive);
    anyhow::ensure!(unpacking.wait()?.success(), "the archive could not be unpacked");
    sync()?;
    times.pull.push(begun.elapsed().as_secs_f64());
    std::fs::remove_dir_all(&to)?;
    sync()
}

/// Seconds until everything is unpacked elsewhere and on the disk.
fn piped(from: &Path, to: &Path, level: u32) -> anyhow::Result<f64> {
    let script = format!("tar -C \"$1\" -c . | gzip -{level} | gzip -d | tar -C \"$2\" -x && sync");
    seconds_of(Command::new("sh").args(["-c", &script, "sh"]).arg(from).arg(to))
}

/// What was written before must not be paid for by what is measured next.
fn sync() -> anyhow::Result<()> {
    seconds_of(&mut Command::new("sync")).map(drop)
}

fn rows_of_large(size: &str, times: &Times) -> Vec<Row> {
    let (pipe, push, pull) = times.samples();
    vec![
        Row::speed(format!("push of {size}, gzip wire"), 0.8, &push, PIPE, &pipe),
        Row::speed(format!("pull of {size}, gzip wire"), 0.8, &pull, PIPE, &pipe)
            .note("`knit data pull -x`, and then the same `sync` as behind the pipe"),
    ]
}

fn rows_of_small(small_files: &str, times: &Times) -> Vec<Row> {
    let (pipe, push, pull) = times.samples();
    vec![
        Row::speed(format!("push of {small_files}, gzip wire"), 0.6, &push, PIPE, &pipe).limit(
            "Where many files were removed from the disk in the minutes before, an ext4 without a journal steps over \
             each of their inodes whenever it makes a file: `tar x` of 20,000 files after as many had been removed \
             spent 94% of its time on that.",
        ),
        Row::tells(format!("pull of {small_files}, gzip wire"), spread(&pull)).beside(
            PIPE,
            &spread(&pipe),
            pipe.median() / pull.median(),
        ),
    ]
}

fn rows_of_original(size: &str, times: &Times) -> Vec<Row> {
    let (pipe, push, pull) = times.samples();
    let row = |what: &str, ours: &Sample, limit: f64, original: &str| {
        let ratio = ours.median() / pipe.median();
        let target = format!("≤ {limit} of the pipe");
        let row = Row::judged(
            format!("{what} of {size} with the original's way of packing"),
            target,
            spread(ours),
            ratio <= limit,
        );
        row.beside("tar | gzip -6 | gzip -d | tar x", &spread(&pipe), pipe.median() / ours.median())
            .original(&format!("{original} of the pipe"))
            .value("measured_s", ours.median())
            .value("anchor_s", pipe.median())
            .value("of_the_pipe", ratio)
    };
    let push = row("push", &push, 1.1, "1.7").limit(
        "Both wait for the one core that packs: `gzip -6` alone takes 97% of the time of the pipe. The server spends \
         6 ms of the other core on each megabyte meanwhile, so what is above 1 is what the two cores of the machine \
         cost each other and how evenly it gives them.",
    );
    vec![push, row("pull", &pull, 0.5, "0.8")]
}

fn plot(families: &[(&str, &Times)]) -> Plot {
    let group = |(name, times): &(&str, &Times)| {
        let (pipe, push, pull) = times.samples();
        let bars = [("push", push), ("pull", pull), ("pipe", pipe)];
        let bars = bars.map(|(name, sample)| (name.to_owned(), sample.median())).to_vec();
        Group { name: (*name).to_owned(), bars, target: None }
    };
    Plot::bars("Transfers", "seconds", families.iter().map(group).collect())
}
