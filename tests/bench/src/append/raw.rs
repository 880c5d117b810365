//! The plainest append: one `INSERT` of one event, committed by itself.

use std::sync::Arc;

use sqlx::{Connection as _, PgConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::ours::{metadata, tagged};
use super::{Round, race};
use crate::history::encoded;

const INSERT: &str =
    "INSERT INTO events VALUES ('data', $1, $2, 'DataTagsChanged', '1', $3::text::json, $4::text::json)";

pub(super) async fn round(url: &str, clients: usize, each: usize) -> anyhow::Result<Round> {
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(Arc::new(Mutex::new(PgConnection::connect(url).await?)));
    }
    let metadata = serde_json::to_string(&metadata())?;
    race(clients, each, |client| {
        let (connection, metadata) = (Arc::clone(&connections[client]), metadata.clone());
        let stream = Uuid::new_v4().to_string();
        move |at| {
            let (connection, metadata, stream) = (Arc::clone(&connection), metadata.clone(), stream.clone());
            async move {
                let mut connection = connection.lock().await;
                let insert = sqlx::query(INSERT).bind(stream).bind(i64::try_from(at)?);
                insert.bind(encoded(tagged(at))).bind(metadata).execute(&mut *connection).await?;
                Ok(())
            }
        }
    })
    .await
}
