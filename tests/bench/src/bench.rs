//! What the families share: how large everything is, a runtime, scratch space, and logs that take long
//! to make.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use knit_domain::event::Metadata;
use knit_log::{Database, Log, Options, Request};
use knit_projections::projection::Projection as _;
use knit_projections::store::Store;
use knit_tests::postgres::TestDatabase;
use knit_tests::server::{Server, Setup};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::graph::Graph;
use crate::graph::wfformat::Workflow;
use crate::history::{History, Ids};
use crate::process::own_resident_bytes;
use crate::row::{number, rate};

/// Decisions on their way to the log: one is being written while the next is being hashed.
const APPENDS_AT_ONCE: usize = 2;
/// Looks at the memory while the large store grows.
const LOOKS: usize = 40;

/// How large everything is, and how often it is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Repetitions of which the median counts.
    pub(crate) rounds: usize,
    /// Divides counts of short operations.
    pub(crate) shorter: usize,
    /// Nodes of the large graph.
    pub(crate) nodes: usize,
    /// Events of the long log.
    pub(crate) events: usize,
    /// Tenths of 10⁵ Data in the larger catalog.
    pub(crate) tenths: u32,
    /// Bytes that are pushed and pulled.
    pub(crate) transfer_bytes: u64,
    /// Small files that are pushed.
    pub(crate) files: u32,
}

impl Sizes {
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        shorter: 1,
        nodes: 1_000_000,
        events: 1_000_000,
        tenths: 10,
        transfer_bytes: 1 << 30,
        files: 20_000,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        shorter: 10,
        nodes: 100_000,
        events: 50_000,
        tenths: 1,
        transfer_bytes: 64 << 20,
        files: 2_000,
    };
}

/// Where a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Postgres,
    Sqlite,
}

impl Kind {
    pub(crate) const BOTH: [Self; 2] = [Self::Postgres, Self::Sqlite];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }
}

/// Which history a log is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Content {
    /// [`Sizes::events`] events.
    Events,
    /// A catalog of so many tenths of 10⁵ Data.
    Catalog(u32),
    /// The large graph of [`Sizes::nodes`] nodes.
    Large,
}

/// What every family is given.
pub(crate) struct Bench {
    pub(crate) tokio: Runtime,
    pub(crate) sizes: Sizes,
    pub(crate) workflows: Vec<Workflow>,
    scratch: TempDir,
    logs: RefCell<BTreeMap<(Kind, Content), Rc<Filled>>>,
    large: OnceCell<Large>,
}

/// A log that was filled with the history of a graph; nobody has it open.
pub(crate) struct Filled {
    pub(crate) place: Place,
    pub(crate) graph: Graph,
    pub(crate) ids: Ids,
    pub(crate) events: u64,
    /// How the filling went, for people.
    pub(crate) story: String,
}

/// A database of its own, and a state directory beside it.
pub(crate) struct Place {
    pub(crate) kind: Kind,
    state_dir: PathBuf,
    database: Option<TestDatabase>,
}

/// The large graph, folded without a log.
pub(crate) struct Large {
    pub(crate) graph: Graph,
    pub(crate) store: Store,
    /// Nodes, bytes that the store counts, bytes by which the process grew; while it grew.
    pub(crate) growth: Vec<(usize, f64, f64)>,
    pub(crate) seconds: f64,
    pub(crate) events: usize,
}

impl Bench {
    pub(crate) fn new(sizes: Sizes, workflows: Vec<Workflow>) -> anyhow::Result<Self> {
        let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
        let scratch = tempfile::Builder::new().prefix("knit-bench-").tempdir().context("cannot make a directory")?;
        Ok(Self { tokio, sizes, workflows, scratch, logs: RefCell::default(), large: OnceCell::new() })
    }

    /// A directory for files; it goes when the harness ends.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A directory in which nothing is yet.
    pub(crate) fn new_dir(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = tempfile::Builder::new().prefix(name).tempdir_in(self.scratch())?;
        Ok(dir.keep())
    }

    /// What the PostgreSQL server of the kit says of itself.
    pub(crate) fn postgres(&self) -> anyhow::Result<String> {
        use sqlx::Connection as _;
        let place = self.place(Kind::Postgres)?;
        self.tokio.block_on(async {
            let mut connection = sqlx::PgConnection::connect(&place.url()).await?;
            let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(format!("PostgreSQL {version} as it is installed, fsync on"))
        })
    }

    /// An empty log of its own.
    pub(crate) fn place(&self, kind: Kind) -> anyhow::Result<Place> {
        let state_dir = self.new_dir("state-")?;
        let database = (kind == Kind::Postgres).then(TestDatabase::new);
        Ok(Place { kind, state_dir, database })
    }

    /// A log with a history in it, made when it is first asked for.
    pub(crate) fn filled(&self, kind: Kind, content: Content) -> anyhow::Result<Rc<Filled>> {
        if let Some(filled) = self.logs.borrow().get(&(kind, content)) {
            return Ok(Rc::clone(filled));
        }
        let graph = match content {
            Content::Events => Graph::of_events(self.sizes.events),
            Content::Catalog(tenths) => Graph::catalog(tenths),
            Content::Large => Graph::large(self.sizes.nodes, &self.workflows),
        };
        let filled = Rc::new(self.fill(self.place(kind)?, graph)?);
        tell(&filled.story);
        self.logs.borrow_mut().insert((kind, content), Rc::clone(&filled));
        Ok(filled)
    }

    fn fill(&self, place: Place, graph: Graph) -> anyhow::Result<Filled> {
        let begun = Instant::now();
        let events = self.tokio.block_on(async {
            let log = place.open().await?;
            let metadata = Metadata { actor: "bench".to_owned(), ..Metadata::default() };
            let appends = History::of(&graph).map(|decision| log.append(Request::new(decision, metadata.clone())));
            let last =
                futures::stream::iter(appends).buffered(APPENDS_AT_ONCE).try_fold(0, async |_, done| Ok(done.position));
            let last = last.await?;
            log.close().await;
            anyhow::Ok(last)
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        self.tokio.block_on(place.settle())?;
        let story = format!(
            "{}: {} Data, {} Runs, {} assignments, {} Plans, appended as {} events through the log in {} s ({})",
            place.kind.word(),
            number(graph.data().len() as f64),
            number(graph.runs().len() as f64),
            number(graph.assignments() as f64),
            graph.plans().len(),
            number(events as f64),
            number(seconds),
            rate(events as f64 / seconds)
        );
        let ids = Ids::of(&graph);
        Ok(Filled { place, graph, ids, events, story })
    }

    /// The large graph in a store, folded when it is first asked for.
    pub(crate) fn large(&self) -> anyhow::Result<&Large> {
        if let Some(large) = self.large.get() {
            return Ok(large);
        }
        let large = fold_large(Graph::large(self.sizes.nodes, &self.workflows))?;
        Ok(self.large.get_or_init(|| large))
    }
}

fn fold_large(graph: Graph) -> anyhow::Result<Large> {
    let all = graph.events();
    let mut history = History::of(&graph).recorded();
    let (before, begun, mut seconds) = (own_resident_bytes()?, Instant::now(), 0.0);
    let mut store = Store::default();
    let mut growth = Vec::with_capacity(LOOKS);
    for look in 1..=LOOKS {
        let events: Vec<_> = history.by_ref().take(all * look / LOOKS - all * (look - 1) / LOOKS).collect();
        let folding = Instant::now();
        for event in &events {
            store.apply(event).context("a history contradicts nothing")?;
        }
        seconds += folding.elapsed().as_secs_f64();
        drop(events);
        growth.push((store.nodes(), store.heap_bytes() as f64, own_resident_bytes()? - before));
    }
    tell(&format!("folded {} nodes in {} s", number(store.nodes() as f64), number(begun.elapsed().as_secs_f64())));
    drop(history);
    Ok(Large { store, growth, seconds, events: all, graph })
}

impl Place {
    /// The address or path of the database.
    pub(crate) fn url(&self) -> String {
        match &self.database {
            Some(database) => database.url().to_owned(),
            None => self.state_dir.join("knitfab.db").to_string_lossy().into_owned(),
        }
    }

    pub(crate) async fn open(&self) -> anyhow::Result<Log> {
        Ok(Log::open(&Database::parse(&self.url())?, Options::default()).await?)
    }

    /// How a server on this log is to be started.
    pub(crate) fn setup(&self) -> Setup {
        // What it says for each request would be measured along.
        let setup = Setup::new().on(&self.state_dir).logging("info");
        match &self.database {
            Some(database) => setup.database(database.url()),
            None => setup,
        }
    }

    pub(crate) fn server(&self) -> Server {
        self.setup().start()
    }

    /// Does at once what PostgreSQL would else do beside whatever is measured next: tidy up after so many new rows,
    /// and write them out.
    async fn settle(&self) -> anyhow::Result<()> {
        match self.kind {
            Kind::Postgres => {
                self.sql("VACUUM (ANALYZE)").await?;
                self.sql("CHECKPOINT").await
            }
            Kind::Sqlite => Ok(()),
        }
    }

    /// Runs statements behind the back of a log that nobody has open.
    pub(crate) async fn sql(&self, statements: &str) -> anyhow::Result<()> {
        use sqlx::{Connection as _, PgConnection, SqliteConnection};
        match self.kind {
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&self.url()).await?;
                sqlx::raw_sql(statements).execute(&mut connection).await?;
                connection.close().await?;
            }
            Kind::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url()).await?;
                sqlx::raw_sql(statements).execute(&mut connection).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }
}

/// Says what goes on.
#[expect(clippy::print_stderr, reason = "a run takes minutes; standard output is for the table")]
pub(crate) fn tell(line: &str) {
    eprintln!("   {line}");
}
