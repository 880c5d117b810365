//! `knit audit export`.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use knit_schemas::export::{Flaw, Record, Splitter, Wrong};
use reqwest::Response;
use tempfile::NamedTempFile;

use crate::client::{Client, connection_lost, position_of};
use crate::error::{Ask, Error, Subject};
use crate::number;
use crate::output::{self, Progress};
use crate::session::Session;

/// Write down every event of the log, as it is stored
///
/// The export holds everything that the hashes of the log are made of, so that `knit audit verify FILE` needs no
/// server. How it is written is described in `schemas/export.md`. The file is complete, or not there, and only you may
/// read it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write to this file instead of standard output, replacing a file that is there; a pipe or a device is written to
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How to write it
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "jsonl")]
    format: Notation,
    /// Begin behind this position, for example with what an archive does not have yet [default: 0, the beginning]
    #[arg(long, value_name = "POSITION", value_parser = number::parse::<u64>)]
    after: Option<u64>,
    /// End at this position [default: the head of the log]
    #[arg(long, value_name = "POSITION", value_parser = number::parse::<u64>)]
    until: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Notation {
    /// A JSON object a line
    Jsonl,
    /// Protobuf messages, each behind its length
    Proto,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { output, format, after, until } = arguments;
    if output.is_none() && format == Notation::Proto && io::stdout().is_terminal() {
        let why = "protobuf is not for a terminal: name a file, `-o FILE`, or pass it on through a pipe";
        return Err(Error::Usage(why.to_owned()));
    }
    let (ask, response) = ask_for(&session.client()?, format, Range { after, until }).await?;
    let progress = Progress::of_events("Exporting the log".to_owned());
    progress.expect(position_of(&response).unwrap_or_default());
    let last = match output {
        None => {
            let mut out = output::stdout();
            let last = receive(&ask, response, &mut out, &progress, Path::new("-")).await?;
            out.flush()?;
            last
        }
        Some(path) => {
            let path = session.environment.expand_home(&path);
            save(&ask, response, &path, &progress).await?
        }
    };
    progress.finish();
    match last {
        Some(Record::End(_)) => Ok(()),
        Some(Record::Unreadable(unreadable)) => {
            let wrong = Wrong::Unreadable { why: unreadable.why };
            Err(Error::NotWhole(Flaw { position: unreadable.position, wrong }))
        }
        last => {
            let position = if let Some(Record::Event(event)) = last { event.position.saturating_add(1) } else { 0 };
            Err(Error::NotWhole(Flaw { position, wrong: Wrong::CutOff }))
        }
    }
}

/// Which part of the log is exported.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Range {
    /// What is behind this position; from the beginning if there is none.
    after: Option<u64>,
    /// Up to this position; the head if there is none.
    until: Option<u64>,
}

/// Begins an export.
pub(super) async fn ask_for(client: &Client, format: Notation, range: Range) -> Result<(Ask, Response), Error> {
    let ask = Ask::question("export", Subject::History);
    let mut url = client.url(&["events", "export"])?;
    let format = match format {
        Notation::Jsonl => "jsonl",
        Notation::Proto => "proto",
    };
    url.query_pairs_mut().append_pair("format", format);
    for (name, position) in [("after", range.after), ("until", range.until)] {
        if let Some(position) = position {
            url.query_pairs_mut().append_pair(name, &position.to_string());
        }
    }
    let response = client.stream(&ask, url).await.map_err(Error::if_unable)?;
    Ok((ask, response))
}

/// What is to be written to.
enum Target {
    /// A file that is there, or is to be: the name of the file itself, and not of a link to it.
    File(PathBuf),
    /// Something that only passes on what it is told, such as a pipe or a device. It must not be replaced.
    Other(File),
}

impl Target {
    fn at(path: &Path) -> io::Result<Self> {
        match fs::canonicalize(path) {
            Ok(named) if fs::metadata(&named)?.is_file() => Ok(Self::File(named)),
            Err(_) if fs::symlink_metadata(path).is_err() => Ok(Self::File(path.to_owned())),
            // Also a directory, and a link to nothing or in a circle: the system says what of these can be written to.
            Ok(_) | Err(_) => File::create(path).map(Self::Other),
        }
    }
}

async fn save(ask: &Ask, response: Response, path: &Path, progress: &Progress) -> Result<Option<Record>, Error> {
    match Target::at(path).map_err(Error::file("write", path))? {
        Target::File(named) => replace(ask, response, &named, progress).await,
        Target::Other(mut open) => receive(ask, response, &mut open, progress, path).await,
    }
}

/// Writes beside `path` first: nobody takes half of a history for the whole.
async fn replace(ask: &Ask, response: Response, path: &Path, progress: &Progress) -> Result<Option<Record>, Error> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // For its owner only, as archives are: it holds what everybody has ever said to the server.
    let permissions = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix(".knit-export-").permissions(permissions);
    let mut file: NamedTempFile = builder.tempfile_in(directory).map_err(Error::file("write", path))?;
    let last = receive(ask, response, &mut file, progress, path).await?;
    // What the database cannot tell further is all that there is; what only ends too early is not kept.
    if let Some(Record::End(_) | Record::Unreadable(_)) = last {
        file.persist(path).map_err(|failed| Error::file("write", path)(failed.error))?;
    }
    Ok(last)
}

/// Passes the export on and answers its last whole record.
async fn receive(
    ask: &Ask,
    mut response: Response,
    out: &mut impl Write,
    progress: &Progress,
    path: &Path,
) -> Result<Option<Record>, Error> {
    let mut splitter = Splitter::default();
    let mut shown = 0;
    let unwritten = |source: io::Error| match path.to_str() {
        Some("-") => Error::Output(source),
        _ => Error::file("write", path)(source),
    };
    while let Some(piece) = response.chunk().await.map_err(connection_lost(ask))? {
        out.write_all(&piece).map_err(unwritten)?;
        if splitter.push(&piece).is_some()
            && let Some(Record::Event(event)) = splitter.last()
        {
            progress.advance(event.position.saturating_sub(shown));
            shown = event.position;
        }
    }
    Ok(splitter.last())
}
