//! `make soak`: two servers, one on each database, work for hours under a steady mixed load, and are looked at
//! every minute. What is flat stays flat; what grows is known to, and by how much.
//!
//! The modules, in reading order: [`user`] with the load, which is the same in every run, what it sends
//! ([`asking`], [`plans`]) and how that is answered ([`answers`]); [`figures`] that are looked at, [`look`] and
//! [`database`] that look; [`ending`], which looks for what is left; [`verdict`] and [`page`], which say what
//! came of it.

mod answers;
mod asking;
mod database;
mod ending;
mod figures;
mod look;
mod page;
mod plans;
mod user;
mod verdict;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use knit_tests::postgres::DatabaseServer;
use knit_tests::server::{Server, Setup};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use self::answers::Answers;
use self::database::Database;
use self::figures::Course;
use self::look::Onlooker;
use self::page::{Page, Soaked};
use self::user::User;
use crate::args::Soak;
use crate::bench::tell;
use crate::machine::Machine;
use crate::row::number;

/// From one look to the next.
const LOOK: Duration = Duration::from_secs(60);
/// Minutes of a run whose results are worth keeping.
const WHOLE_MINUTES: u64 = 120;

/// A server, the one who looks at it, and what was seen.
struct Place {
    name: &'static str,
    server: Server,
    database: Database,
    onlooker: Onlooker,
    course: Course,
}

/// Works and looks for as long as is asked for; answers whether something is not as it must be.
#[expect(clippy::print_stdout, reason = "the page is what the harness is for")]
pub(crate) fn run(args: &Soak) -> anyhow::Result<bool> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let postgres = DatabaseServer::start();
    // What it says for each request would only fill the disk.
    let setup = || Setup::new().logging("info");
    let embedded = setup().start();
    let file = Database::Sqlite(embedded.state_dir().join("knitfab.db"));
    let beside = setup().database(postgres.url()).start();
    let scratch = tempfile::tempdir()?;
    let url = Database::Postgres(postgres.url().to_owned());
    let machine = Machine::here(scratch.path(), tokio.block_on(url.version())?);
    tell(&format!("{} minutes of work at commit {}", args.minutes, machine.commit));
    let places = vec![Place::of("SQLite", embedded, file)?, Place::of("PostgreSQL", beside, url)?];
    let servers = work(places, args, &tokio)?;
    let minutes = servers.first().and_then(|server| server.course.0.last()).map_or(0.0, |sample| sample.minute);
    let page = Page { machine, minutes: minutes.round(), servers };
    println!("{}", page.markdown());
    let whole = args.minutes >= WHOLE_MINUTES;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(if whole { "docs" } else { "target/bench" }));
    page.write(&out).with_context(|| format!("cannot write the results to {}", out.display()))?;
    Ok(page.has_defects())
}

impl Place {
    /// A place, and the user who works there.
    fn of(name: &'static str, server: Server, database: Database) -> anyhow::Result<(Self, User)> {
        let answers = Arc::new(Answers::default());
        let user = User::of(&server, Arc::clone(&answers))?;
        let onlooker = Onlooker::of(&server, database.clone(), answers);
        Ok((Self { name, server, database, onlooker, course: Course::default() }, user))
    }
}

/// Lets the users work and looks at their servers meanwhile, then looks at what is left.
fn work(places: Vec<(Place, User)>, args: &Soak, tokio: &Runtime) -> anyhow::Result<Vec<Soaked>> {
    let stop = AtomicBool::new(false);
    let (mut places, users): (Vec<Place>, Vec<User>) = places.into_iter().unzip();
    let rounds = thread::scope(|scope| {
        let working: Vec<_> = users.into_iter().map(|user| scope.spawn(|| user.work(&stop))).collect();
        let looked = look_every_minute(&mut places, args, tokio);
        // Whatever went wrong while looking, the users must be told to go home.
        stop.store(true, Ordering::Relaxed);
        let rounds: Vec<_> = working.into_iter().map(thread::ScopedJoinHandle::join).collect();
        looked.map(|()| rounds)
    })?;
    let soaked = places.into_iter().zip(rounds).map(|(Place { name, mut server, database, course, .. }, rounds)| {
        let (rounds, late) = rounds.ok().with_context(|| format!("the user of {name} gave up; the reason is above"))?;
        let ending = ending::look(&mut server, &database, tokio)?;
        Ok(Soaked { name, course, rounds, late, ending })
    });
    soaked.collect()
}

/// Looks until the time is over, or somebody who has seen enough sends SIGTERM.
fn look_every_minute(places: &mut [Place], args: &Soak, tokio: &Runtime) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut enough = tokio.block_on(async { signal(SignalKind::terminate()) })?;
    for minute in 1..=args.minutes {
        let pause = (LOOK * u32::try_from(minute)?).saturating_sub(begun.elapsed());
        if tokio.block_on(async { tokio::time::timeout(pause, enough.recv()).await }).is_ok() {
            tell("told to stop: what was seen so far counts");
            return Ok(());
        }
        for place in &mut *places {
            let sample = place.onlooker.look(&place.server, tokio, begun.elapsed().as_secs_f64() / 60.0)?;
            tell(&line(place.name, &sample));
            place.course.0.push(sample);
        }
        keep_meanwhile(places, args.samples.as_deref())?;
    }
    Ok(())
}

/// What was seen so far is kept in a file, lest hours are lost with the last minute.
fn keep_meanwhile(places: &[Place], samples: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = samples else { return Ok(()) };
    let rows = places.iter().map(|place| place.course.csv(place.name));
    std::fs::write(path, figures::csv_head() + &rows.collect::<String>())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A sample for whoever watches.
fn line(server: &str, sample: &figures::Sample) -> String {
    let words = sample.values.iter().map(|(figure, value)| format!("{} {}", figure.column(), number(*value)));
    format!("{server:10} minute {}: {}", number(sample.minute), words.collect::<Vec<_>>().join(", "))
}
