//! The same graph in two tables, and a recursive query over them as one would write it by hand.

use std::fmt::Write as _;
use std::time::Instant;

use knit_domain::id::RunId;
use sqlx::postgres::PgPoolCopyExt as _;
use sqlx::{Connection as _, PgConnection, PgPool};
use uuid::Uuid;

use crate::bench::{Bench, Kind, Place};
use crate::graph::{DataRow, Graph};
use crate::history::Ids;
use crate::statistics::Sample;

const TABLES: &str = "CREATE TABLE taken (run uuid NOT NULL, data uuid NOT NULL);
                      CREATE TABLE made (data uuid NOT NULL, run uuid NOT NULL);";
const INDEXES: &str = "CREATE INDEX ON taken (run, data); CREATE INDEX ON taken (data, run);
                       CREATE INDEX ON made (run, data); CREATE UNIQUE INDEX ON made (data, run);
                       ANALYZE taken; ANALYZE made;";
const NEAR: &str = "
WITH RECURSIVE up (data, depth) AS (
    SELECT $1::uuid, 0
     UNION
    SELECT taken.data, up.depth + 1 FROM up JOIN made ON made.data = up.data JOIN taken ON taken.run = made.run
     WHERE up.depth < $2
), down (data, depth) AS (
    SELECT $1::uuid, 0
     UNION
    SELECT made.data, down.depth + 1 FROM down JOIN taken ON taken.data = down.data JOIN made ON made.run = taken.run
     WHERE down.depth < $2
)
SELECT data FROM up UNION SELECT data FROM down";
const WHOLE: &str = "
WITH RECURSIVE up (data) AS (
    SELECT $1::uuid
     UNION
    SELECT taken.data FROM up JOIN made ON made.data = up.data JOIN taken ON taken.run = made.run
)
SELECT data FROM up";
/// Text sent to the database at once.
const PIECE_BYTES: usize = 1 << 20;

/// Two tables of edges in a database of their own, on the server that the logs are on.
pub(super) struct Edges {
    place: Place,
}

impl Edges {
    pub(super) async fn of(bench: &Bench, graph: &Graph) -> anyhow::Result<Self> {
        let place = bench.place(Kind::Postgres)?;
        place.sql(TABLES).await?;
        let pool = PgPool::connect(&place.url()).await?;
        let ids = Ids::of(graph);
        let runs = || graph.runs().map(|run| (run, ids.run(run)));
        let taken = runs().flat_map(|(run, id)| graph.taken(run).iter().map(move |data| line(id, *data, false)));
        copy(&pool, "COPY taken (run, data) FROM STDIN", taken).await?;
        let made = runs().flat_map(|(run, id)| graph.made(run).map(move |data| line(id, data, true)));
        copy(&pool, "COPY made (data, run) FROM STDIN", made).await?;
        pool.close().await;
        place.sql(INDEXES).await?;
        Ok(Self { place })
    }

    /// Seconds of each of the near lineages.
    pub(super) async fn near(&self, starts: &[DataRow], depth: u32) -> anyhow::Result<Sample> {
        let mut connection = PgConnection::connect(&self.place.url()).await?;
        let mut times = Vec::with_capacity(starts.len());
        for start in starts {
            let begun = Instant::now();
            let query = sqlx::query_scalar(NEAR).bind(Ids::data(*start).0).bind(i32::try_from(depth)?);
            let _data: Vec<Uuid> = query.fetch_all(&mut connection).await?;
            times.push(begun.elapsed().as_secs_f64());
        }
        Ok(Sample::of(times))
    }

    /// Seconds of each of `rounds` whole closures.
    pub(super) async fn whole(&self, start: DataRow, rounds: usize) -> anyhow::Result<Sample> {
        let mut connection = PgConnection::connect(&self.place.url()).await?;
        let mut times = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let begun = Instant::now();
            let query = sqlx::query_scalar(WHOLE).bind(Ids::data(start).0);
            let _data: Vec<Uuid> = query.fetch_all(&mut connection).await?;
            times.push(begun.elapsed().as_secs_f64());
        }
        Ok(Sample::of(times))
    }
}

fn line(run: RunId, data: DataRow, data_first: bool) -> (Uuid, Uuid) {
    let data = Ids::data(data).0;
    if data_first { (data, run.0) } else { (run.0, data) }
}

async fn copy(pool: &PgPool, statement: &str, lines: impl Iterator<Item = (Uuid, Uuid)>) -> anyhow::Result<()> {
    let mut copy = pool.copy_in_raw(statement).await?;
    let mut piece = String::with_capacity(PIECE_BYTES);
    for (first, second) in lines {
        writeln!(piece, "{first}\t{second}").expect("a text grows");
        if piece.len() + 100 > PIECE_BYTES {
            copy.send(piece.as_bytes()).await?;
            piece.clear();
        }
    }
    copy.send(piece.as_bytes()).await?;
    copy.finish().await?;
    Ok(())
}
