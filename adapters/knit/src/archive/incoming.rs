//! The body of a download: compressed bytes, checked against the MD5 behind them.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use knit_schemas::api::CHECKSUM_TRAILER;
use md5::{Digest, Md5};
use reqwest::Response;
use tokio::sync::mpsc;

use super::CHANNEL_PIECES;
use crate::client::connection_lost;
use crate::error::{Ask, Error};
use crate::output::Progress;

/// What became of a download.
#[derive(Debug)]
pub(crate) struct Received {
    /// MD5 of all bytes, lower-case hex.
    computed: String,
    /// What the server sent behind them.
    announced: Option<String>,
}

impl Received {
    /// Refuses a download that is damaged or whose end is missing.
    pub(crate) fn check(self, knit_id: &str) -> Result<(), Error> {
        let knit_id = knit_id.to_owned();
        match self.announced {
            Some(announced) if announced == self.computed => Ok(()),
            Some(announced) => Err(Error::Checksum { knit_id, computed: self.computed, announced }),
            None => Err(Error::NoChecksum { knit_id }),
        }
    }
}

/// Connects a download to a thread that reads it.
pub(crate) fn channel() -> (mpsc::Sender<Bytes>, ChannelReader) {
    let (sender, receiver) = mpsc::channel(CHANNEL_PIECES);
    (sender, ChannelReader { receiver, current: Bytes::new() })
}

/// Passes all bytes of the answer to `reader` and learns their checksum. A reader that has read
/// enough may go away; the rest still counts for the checksum.
pub(crate) async fn receive(
    ask: &Ask,
    response: Response,
    reader: mpsc::Sender<Bytes>,
    progress: &Progress,
) -> Result<Received, Error> {
    let mut md5 = Md5::new();
    let mut announced = None;
    let mut body = http::Response::<reqwest::Body>::from(response).into_body();
    while let Some(frame) = body.frame().await {
        match frame.map_err(connection_lost(ask))?.into_data() {
            Ok(bytes) => {
                progress.advance(bytes.len() as u64);
                md5.update(&bytes);
                let _ = reader.send(bytes).await;
            }
            Err(frame) => {
                let value = frame.trailers_ref().and_then(|trailers| trailers.get(CHECKSUM_TRAILER));
                announced = value.and_then(|md5| md5.to_str().ok()).map(str::to_owned);
            }
        }
    }
    Ok(Received { computed: hex::encode(md5.finalize()), announced })
}

/// The bytes of a download, for a thread. When the download fails they simply end, and whoever reads
/// them finds an unexpected end; the download itself knows the reason.
pub(crate) struct ChannelReader {
    receiver: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for ChannelReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(bytes) => self.current = bytes,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
