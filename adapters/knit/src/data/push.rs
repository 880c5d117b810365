//! `knit data push`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use knit_schemas::api::{self, DataDetail, Tag, TagChange};
use reqwest::{Body, Method, Response};

use super::{refuse_reserved, refuse_unwritable, show};
use crate::archive::outgoing::{self, Outgoing};
use crate::archive::pack::{self, Contents};
use crate::client::{self, Client};
use crate::error::{Ask, Error, Subject};
use crate::form::{Form, Told as _};
use crate::knitenv::Knitenv;
use crate::output::{self, Progress};
use crate::session::Session;

/// When the server is silent for so long after the last byte, that is said once.
const SILENCE: Duration = Duration::from_secs(1);

/// Upload directories or files, each as a Data
///
/// The content of each source becomes one Data, which is told in a few lines on a terminal and else printed as JSON.
/// Empty directories, pipes and devices are left out. The tags of the project's `knitenv` are put on every Data.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    /// Put this tag on the Data; may be repeated
    #[arg(long, short, value_name = "KEY:VALUE", value_parser = Tag::parse)]
    tag: Vec<Tag>,
    /// Put the tag `name:` with the base name of the source on the Data
    #[arg(long, short)]
    name: bool,
    /// Store what symbolic links point to instead of the links
    #[arg(long, short = 'L')]
    dereference: bool,
    #[command(flatten)]
    form: Form,
    /// Directories or files to upload
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    refuse_reserved("--tag", &arguments.tag)?;
    arguments.form.check(DataDetail::FIELDS)?;
    let knitenv = Knitenv::load(session)?;
    let push = Push { client: session.client()?, arguments, knitenv, session };
    for source in &push.arguments.sources {
        push.check(source)?;
    }
    let mut is_any_there = false;
    for source in &push.arguments.sources {
        if source.try_exists().map_err(Error::file("read", source))? {
            is_any_there = true;
            push.source(source).await?;
        } else {
            session.log.line(format_args!("`{}` does not exist -- skipped", source.display()));
        }
    }
    // Some missing sources are no failure, as for the original; that nothing at all happened is one.
    if is_any_there { Ok(()) } else { Err(Error::NothingToPush) }
}

struct Push<'a> {
    client: Client,
    arguments: Arguments,
    knitenv: Knitenv,
    session: &'a Session,
}

impl Push<'_> {
    /// Refuses what would only fail once everything is uploaded.
    fn check(&self, source: &Path) -> Result<(), Error> {
        refuse_unwritable(&self.tags(source))?;
        if self.arguments.name && matches!(base_name(source).as_str(), "." | "..") {
            let (written, name) = (source.display(), base_name(source));
            output::say(format_args!(
                "warning: `{written}` is tagged `name:{name}`; name the directory to have its name"
            ));
        }
        match source.metadata() {
            Ok(metadata) if !metadata.is_dir() && !metadata.is_file() => {
                // Among other files it is left out; by itself it would be a Data without any file.
                let special = io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a directory");
                Err(Error::Pack { source_path: source.to_owned(), source: special })
            }
            _ => Ok(()),
        }
    }

    async fn source(&self, source: &Path) -> Result<(), Error> {
        self.session.log.line(format_args!("uploading `{}`", source.display()));
        let uploaded = self.upload(source).await?;
        let knit_id = uploaded.knit_id;
        self.session.log.line(format_args!("uploaded as Data `{knit_id}`"));
        let change = TagChange { add: self.tags(source), ..TagChange::default() };
        let ask = Ask::order("tag", Subject::Data(knit_id.clone()));
        let tagged = self.client.change::<DataDetail>(&ask, Method::PUT, &["data", &knit_id], Some(&change)).await;
        match tagged {
            Ok(data) => self.arguments.form.tell(&data, show::brief),
            // The Data exists and is of no use to anybody who does not learn its id.
            Err(source) => Err(Error::Untagged { knit_id, change, source: Box::new(source) }),
        }
    }

    async fn upload(&self, source: &Path) -> Result<DataDetail, Error> {
        let contents = if self.arguments.dereference { Contents::Dereferenced } else { Contents::AsTheyAre };
        let progress = Progress::to_a_total(source.display().to_string());
        if progress.is_visible() {
            let (root, bar) = (source.to_owned(), progress.clone());
            std::thread::spawn(move || bar.expect(pack::total_bytes(&root, contents)));
        }
        let Outgoing { body, packed } = outgoing::start(source.to_owned(), contents, progress.clone());
        let sent = body.sent();
        let ask = Ask::order("upload", Subject::AnyData);
        let request = self
            .client
            .post(&["data"])?
            .header(reqwest::header::CONTENT_TYPE, api::TAR_GZIP)
            .header(reqwest::header::TRAILER, api::CHECKSUM_TRAILER)
            .body(Body::wrap(body));
        let outcome = self.answer(&ask, request, &sent, &progress).await;
        progress.finish();
        // When the files are to blame, the broken request is only the consequence. An answer, even a
        // refusal, may come while the thread still waits for the connection: it is not waited for.
        if let Err(Error::ConnectionLost { .. }) = outcome
            && let Ok(Err(error)) = packed.await
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(Error::Pack { source_path: source.to_owned(), source: error });
        }
        client::understood(&ask, outcome?).await
    }

    /// Waits for the answer, and says so when that takes long after everything is sent.
    async fn answer(
        &self,
        ask: &Ask,
        request: reqwest::RequestBuilder,
        sent: &Arc<AtomicBool>,
        progress: &Progress,
    ) -> Result<Response, Error> {
        let answer = self.client.send_unseen(ask, request);
        tokio::pin!(answer);
        loop {
            let was_sent = sent.load(Ordering::Relaxed);
            tokio::select! {
                answer = &mut answer => return answer,
                () = tokio::time::sleep(SILENCE) => {}
            }
            if was_sent {
                progress.finish();
                self.session.log.line("waiting for the server...");
                return answer.await;
            }
        }
    }

    /// Each once; the order means nothing.
    fn tags(&self, source: &Path) -> Vec<Tag> {
        let name = self.arguments.name.then(|| Tag::new("name", base_name(source)));
        let mut tags: Vec<Tag> =
            self.arguments.tag.iter().chain(self.knitenv.data_tags()).cloned().chain(name).collect();
        tags.sort();
        tags.dedup();
        tags
    }
}

/// The last part of the path as it is written: `.` is `.`, and `dir/` is `dir`.
fn base_name(source: &Path) -> String {
    let written = source.to_string_lossy();
    let trimmed = written.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some("") | None => "/".to_owned(),
        Some(name) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_last_part_as_written() {
        for (source, name) in [(".", "."), ("dir/", "dir"), ("a/b", "b"), ("a/..", ".."), ("/", "/"), ("./", ".")] {
            assert_eq!(base_name(Path::new(source)), name);
        }
    }
}
