//! Answers that are told line by line while the server is at work.

use reqwest::Response;
use serde::de::DeserializeOwned;

use crate::client::{connection_lost, understand};
use crate::error::{Ask, Error};

/// Hears each line, until `hear` knows the end by one of them.
pub(crate) async fn until_the_end<S: DeserializeOwned, E>(
    ask: &Ask,
    mut response: Response,
    mut hear: impl FnMut(S) -> Option<E>,
) -> Result<E, Error> {
    let mut line = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(connection_lost(ask))? {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if !part.ends_with(b"\n") {
                continue;
            }
            let step: S = understand(ask, &std::mem::take(&mut line))?;
            if let Some(end) = hear(step) {
                return Ok(end);
            }
        }
    }
    Err(Error::NoEnd { ask: ask.clone() })
}
