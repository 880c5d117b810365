//! `knit data pull`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use knit_schemas::api::TRANSIENT_HEADER;
use reqwest::Response;

use crate::archive::incoming::{self, ChannelReader};
use crate::archive::unpack::{self, UnpackError};
use crate::error::{Ask, Error, Subject};
use crate::ids::{self, Kind};
use crate::listing;
use crate::output::{self, Progress};
use crate::session::{Session, on_thread};

/// Download a Data
///
/// Writes `DEST/KNIT_ID.tar.gz`, or with `--extract` the files below `DEST/KNIT_ID/`. Either is
/// complete and checked, or not there; files of the directory that are not in the Data stay.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Unpack the files instead of saving the archive
    #[arg(long, short = 'x')]
    extract: bool,
    /// Id of the Data
    #[arg(value_name = "KNIT_ID")]
    knit_id: String,
    /// Directory to write to, created if it is missing; `-` writes the archive to standard output
    #[arg(value_name = "DEST", default_value = ".")]
    destination: PathBuf,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { extract, knit_id, destination } = arguments;
    let to_stdout = destination.as_os_str() == "-";
    if to_stdout && extract {
        return Err(Error::Usage("`--extract` and `-` exclude each other: files need a directory".to_owned()));
    }
    let client = session.client()?;
    let knit_id = ids::whole(&client, Kind::Data, knit_id).await?;
    let ask = Ask::question("download", Subject::Data(knit_id.clone()));
    let url = client.url(&["data", &knit_id])?;
    let pull = Pull { response: client.stream(&ask, url).await?, ask, knit_id };
    pull.say_if_transient();
    let destination = session.environment.expand_home(&destination);
    if to_stdout {
        return pull.print().await;
    }
    if destination.is_file() {
        return Err(Error::file("write into", &destination)(io::ErrorKind::NotADirectory.into()));
    }
    let made = Made::directories(&destination).map_err(Error::file("create", &destination))?;
    if extract { pull.extract(destination, made).await } else { pull.save(destination, made).await }
}

/// Directories that were made for a download, innermost first. When whoever writes there is done, those in
/// which nothing arrived are removed again: after Ctrl-C that is the thread that removes its half-written files.
#[derive(Debug)]
struct Made(Vec<PathBuf>);

impl Made {
    fn directories(path: &Path) -> io::Result<Self> {
        let missing = path.ancestors().take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists());
        let made = Self(missing.map(Path::to_owned).collect());
        fs::create_dir_all(path)?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for directory in &self.0 {
            // One with something in it stays, which is what is wanted.
            let _ = fs::remove_dir(directory);
        }
    }
}

struct Pull {
    response: Response,
    ask: Ask,
    knit_id: String,
}

impl Pull {
    /// A result that is not one yet, or never will be, must not be taken for one.
    fn say_if_transient(&self) {
        let knit_id = &self.knit_id;
        let state = self.response.headers().get(TRANSIENT_HEADER).and_then(|state| state.to_str().ok());
        let note = match state {
            Some("failed") => format!("the Run that made Data `{knit_id}` has failed; this is what it left"),
            Some(_) => format!("the Run that makes Data `{knit_id}` has not ended; this is what there is so far"),
            None => return,
        };
        output::say(format_args!("note: {note}"));
    }

    async fn save(self, destination: PathBuf, made: Made) -> Result<(), Error> {
        let target = destination.join(format!("{}.tar.gz", self.file_name()));
        let saved = self.receive(&target, move |archive| Ok((unpack::save(archive, &destination)?, made))).await?;
        // What is saved goes before the directory: an empty one can be removed.
        let (saved, _made) = saved.map_err(Error::file("write", &target))?;
        saved.move_to(&target).map_err(Error::file("write", &target))
    }

    async fn extract(self, destination: PathBuf, made: Made) -> Result<(), Error> {
        let target = destination.join(self.file_name());
        let unpack_error = |knit_id: String| move |source: UnpackError| Error::Unpack { knit_id, source };
        let failed = unpack_error(self.knit_id.clone());
        let staged = self.receive(&target, move |archive| Ok((unpack::unpack(archive, &destination)?, made))).await?;
        staged.and_then(|(staged, _made)| staged.move_to(&target)).map_err(failed)
    }

    async fn print(self) -> Result<(), Error> {
        let copy = |mut archive: ChannelReader| {
            let mut out = output::stdout();
            io::copy(&mut archive, &mut out)?;
            out.flush()
        };
        Ok(self.receive(Path::new("-"), copy).await??)
    }

    /// Runs `reader` on a thread while the download feeds it. What it made counts only if the whole
    /// download arrived as it was sent. A reader that fails ends the download at once; a reader that
    /// fails because the download did is not blamed.
    async fn receive<T, E>(
        self,
        target: &Path,
        reader: impl FnOnce(ChannelReader) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Error>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        // The server packs while it sends, so nobody knows how much there will be. The id was typed a moment ago; where
        // its files go comes last, since that is cut where the line ends.
        let to = if target == Path::new("-") { target } else { target.parent().unwrap_or(target) };
        let id = listing::first_digits(&self.knit_id);
        let progress = Progress::without_end(format!("Data {id}, compressed, to {}", to.display()));
        let (sender, archive) = incoming::channel();
        let receiving = incoming::receive(&self.ask, self.response, sender, &progress);
        let reading = on_thread(move || reader(archive));
        tokio::pin!(receiving, reading);
        // The reader sees the end of the bytes only after `receiving` is over, which is looked at first.
        let (received, read) = tokio::select! {
            biased;
            received = &mut receiving => (received?, reading.await?),
            read = &mut reading => match read? {
                Ok(made) => (receiving.await?, Ok(made)),
                failed => return Ok(failed),
            },
        };
        progress.finish();
        received.check(&self.knit_id)?;
        Ok(read)
    }

    /// The id as the name of a file: one that holds a slash must not lead elsewhere.
    fn file_name(&self) -> String {
        self.knit_id.replace('/', "_")
    }
}
