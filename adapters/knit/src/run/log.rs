//! The log of a Run, and the wait for one that is to be followed.

use std::io::Write;
use std::time::Duration;

use knit_schemas::api::RunDetail;
use md5::{Digest as _, Md5};
use reqwest::{Response, Url};

use crate::client::{Client, Query, connection_lost};
use crate::error::{Ask, Error, Subject};
use crate::events::patiently;
use crate::{output, waiting};

/// How often a Run that has no log yet is looked at: soon enough for whoever watches it start, and next to
/// nothing for the server.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);
/// How often a log that should be there is asked for: a Run may start, and its log come about, between two
/// looks; when the server still has none three seconds later, that is an answer.
const TRIES_ONCE_STARTED_MAX: u32 = 10;

/// How often a log is asked for again without anything new in it. A proxy may cut off silent connections every minute, and
/// a Worker be silent for hours; a server that breaks off at once is given up after some minutes.
const BREAKS_WITHOUT_NEWS_MAX: u32 = 1_000;

/// Prints the log of a Run, or of one attempt of it; with `follow`, from the start of the Run to its end, also when the
/// server is started again meanwhile.
pub(super) async fn print(client: &Client, run_id: &str, attempt: Option<u32>, follow: bool) -> Result<(), Error> {
    let ask = Ask::question("show", Subject::LogOf(run_id.to_owned()));
    let url = url(client, run_id, attempt, follow)?;
    let mut printed = Printed::default();
    if attempt.is_some() || !follow {
        return printed.go_on_with(&ask, client.stream(&ask, url).await?).await;
    }
    let mut response = wait_for(client, &ask, &url, run_id).await?;
    let mut breaks = 0;
    loop {
        let before = printed.bytes;
        match printed.go_on_with(&ask, response).await {
            Err(Error::ConnectionLost { .. }) if breaks < BREAKS_WITHOUT_NEWS_MAX => {}
            end => return end,
        }
        breaks = if printed.bytes > before { 0 } else { breaks + 1 };
        output::say(format_args!("note: the log broke off; going on behind byte {}", printed.bytes));
        tokio::time::sleep(LOOK_INTERVAL).await;
        response = patiently(async || wait_for(client, &ask, &url, run_id).await).await?;
    }
}

fn url(client: &Client, run_id: &str, attempt: Option<u32>, follow: bool) -> Result<Url, Error> {
    let mut url = match attempt {
        Some(attempt) => client.url(&["runs", run_id, "attempts", &attempt.to_string(), "log"])?,
        None => client.url(&["runs", run_id, "log"])?,
    };
    if follow {
        // Presence alone counts on the wire.
        url.set_query(Some("follow"));
    }
    Ok(url)
}

/// Asks for the log until there is one. The wire has no way to wait: a Run that has not started is answered
/// by an error, and what it waits for is only in its record.
async fn wait_for(client: &Client, ask: &Ask, url: &Url, run_id: &str) -> Result<Response, Error> {
    let about_run = Ask::question("show", Subject::Run(run_id.to_owned()));
    let (mut told, mut tries) = (String::new(), 0);
    loop {
        let refusal = match client.stream(ask, url.clone()).await {
            // An original server has the second one for a Worker that is not there yet.
            Err(Error::Refused(refusal)) if matches!(refusal.status, 503 | 500) => refusal,
            answer => return answer,
        };
        let run: RunDetail = client.get(&about_run, &["runs", run_id], Query::new()).await?;
        match waits_for(&run) {
            Some(what) if what == told => {}
            Some(what) => {
                output::say(format_args!("note: {what}"));
                told = what;
            }
            None if tries == TRIES_ONCE_STARTED_MAX => return Err(Error::Refused(refusal)),
            None => tries += 1,
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// What has to happen before `run` writes a log; `None` if it could have begun.
fn waits_for(run: &RunDetail) -> Option<String> {
    match run.status.as_str() {
        "waiting" | "ready" | "starting" => Some("waiting for the Run to start".to_owned()),
        "deactivated" => Some(format!(
            "waiting for the Run to start; its Plan is switched off: `knit plan active yes {}` lets it",
            run.plan.plan_id
        )),
        _ => None,
    }
}

/// What of a log has been printed. The wire has no way to ask for the rest of it, so a log that broke off is read again
/// from its beginning, and what is known of it is passed over.
#[derive(Default)]
struct Printed {
    bytes: u64,
    /// Of all these bytes.
    hash: Md5,
}

impl Printed {
    /// Passes the bytes on as they come, but those that were printed already; a line that has arrived is seen.
    async fn go_on_with(&mut self, ask: &Ask, mut response: Response) -> Result<(), Error> {
        let mut out = std::io::stdout();
        let (mut known_bytes, mut hash) = (self.bytes, Md5::default());
        while let Some(bytes) = response.chunk().await.map_err(connection_lost(ask))? {
            waiting::end();
            let known = usize::try_from(known_bytes).map_or(bytes.len(), |known| known.min(bytes.len()));
            let (known, new) = bytes.split_at(known);
            hash.update(known);
            known_bytes -= known.len() as u64;
            if known_bytes > 0 {
                continue;
            }
            if !known.is_empty() && hash.clone().finalize() != self.hash.clone().finalize() {
                return Err(Error::OtherLogOfRun { ask: ask.clone() });
            }
            out.write_all(new)?;
            out.flush()?;
            self.hash.update(new);
            self.bytes += new.len() as u64;
        }
        if known_bytes > 0 { Err(Error::OtherLogOfRun { ask: ask.clone() }) } else { Ok(()) }
    }
}
