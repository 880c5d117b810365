//! Histories that lie in files: an export, the segments of an archive, or both. Whoever reads one reads it through
//! this, as the one export that they are together.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use knit_schemas::export::{Broken, Flaw, Part, Parts, Segment, UnreadablePart, Wrong, beginning};

use crate::error::Error;
use crate::output::Progress;
use crate::session::Session;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// The files of one history, in the order of their positions.
#[derive(Debug)]
pub(super) struct History {
    files: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// The position that its first event is behind; unknown of one that is alone.
    after: Option<u64>,
    /// Its length; unknown where it is no file.
    bytes: Option<u64>,
}

impl History {
    /// The history in these files, and in the segments of these directories.
    ///
    /// Files are put in the order of what they begin with. Where one can be read only once, such as a pipe, they are in
    /// order as they are named.
    ///
    /// # Errors
    /// When something is not there, or a directory is no archive.
    pub(super) fn at(paths: &[PathBuf], session: &Session) -> Result<Self, Error> {
        let mut files = Vec::new();
        for path in paths {
            files.extend(places(session.environment.expand_home(path))?);
        }
        let many = files.len() > 1;
        if many && files.iter().any(|place| place.path.as_os_str() == STANDARD_INPUT) {
            let why = "standard input cannot be read beside files: name them in order, or pass all of them through it";
            return Err(Error::Usage(why.to_owned()));
        }
        if many && files.iter().all(|place| place.bytes.is_some()) {
            for place in &mut files {
                place.after = Some(place.begins_behind()?);
            }
            files.sort_by_key(|place| place.after);
        }
        Ok(Self { files })
    }

    /// Whether all of it lies in files, and so can be read more than once.
    pub(super) fn is_in_files(&self) -> bool {
        self.files.iter().all(|place| place.bytes.is_some())
    }

    /// What is shown beside its progress; `doing` is a word such as `Verifying`.
    pub(super) fn title(&self, doing: &str) -> String {
        match &self.files[..] {
            [place] if place.path.as_os_str() == STANDARD_INPUT => format!("{doing} standard input"),
            [place] => format!("{doing} {}", place.path.display()),
            files => format!("{doing} {} files", files.len()),
        }
    }

    /// Shows how much of it was read.
    pub(super) fn progress(&self, doing: &str) -> Progress {
        let title = self.title(doing);
        let Some(bytes) = self.files.iter().map(|place| place.bytes).sum::<Option<u64>>() else {
            return Progress::without_end(title);
        };
        let progress = Progress::to_a_total(title);
        progress.expect(bytes);
        progress
    }

    /// All of it, as one export. What is wrong with a file, and between two of them, is an error of reading that
    /// [`Broken::of`] knows.
    pub(super) fn read(&self, progress: Progress) -> impl Read + Send + 'static {
        let paths: Vec<PathBuf> = self.files.iter().map(|place| place.path.clone()).collect();
        Parts::new(paths.into_iter().map(move |path| Part {
            name: path.display().to_string(),
            input: open(&path).map(|input| Counted { input, progress: progress.clone() }),
        }))
    }

    /// It could not be read to its end, because of the file that the error names.
    pub(super) fn unreadable(&self, error: io::Error) -> Error {
        match error.downcast::<UnreadablePart>() {
            Ok(UnreadablePart { name, error }) => Error::file("read", name)(error),
            Err(error) => {
                let path = self.files.first().map(|place| place.path.clone()).unwrap_or_default();
                Error::file("read", path)(error)
            }
        }
    }

    /// It is not whole. Of several files the one is named that tells of the position.
    pub(super) fn not_whole(&self, flaw: Flaw) -> Error {
        let tells_of = |place: &&Place| place.after.is_some_and(|after| after < flaw.position.max(1));
        match (&flaw.wrong, self.files.iter().rev().find(tells_of)) {
            // It names them itself.
            (Wrong::Broken(_), _) | (_, None) => Error::SentNotWhole(flaw),
            (_, Some(place)) => Error::NotWholeIn { file: place.path.clone(), flaw },
        }
    }
}

impl Place {
    fn begins_behind(&self) -> Result<u64, Error> {
        let begin = File::open(&self.path).and_then(beginning).map_err(Error::file("read", &self.path))?;
        let name = || self.path.display().to_string();
        let no_begin =
            || Error::SentNotWhole(Flaw { position: 0, wrong: Wrong::Broken(Broken::NoBegin { name: name() }) });
        Ok(begin.ok_or_else(no_begin)?.after)
    }
}

/// The file at `path`, or the segments of the archive there.
fn places(path: PathBuf) -> Result<Vec<Place>, Error> {
    if path.as_os_str() == STANDARD_INPUT {
        return Ok(vec![Place { path, after: None, bytes: None }]);
    }
    let found = fs::metadata(&path).map_err(Error::file("read", &path))?;
    if !found.is_dir() {
        let bytes = found.is_file().then_some(found.len());
        return Ok(vec![Place { path, after: None, bytes }]);
    }
    let segments = segments(&path).map_err(Error::file("read", &path))?;
    if segments.is_empty() {
        let what = "segments of an archive, as `knit admin archive` writes them";
        return Err(Error::Usage(format!("there are no {what}, in `{}`", path.display())));
    }
    let place = |segment: PathBuf| {
        let bytes = fs::metadata(&segment).map_err(Error::file("read", &segment))?.len();
        Ok(Place { path: segment, after: None, bytes: Some(bytes) })
    };
    segments.into_iter().map(place).collect()
}

fn segments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        found.extend(name.to_str().filter(|name| name.parse::<Segment>().is_ok()).map(|name| directory.join(name)));
    }
    found.sort();
    Ok(found)
}

fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    Ok(if path.as_os_str() == STANDARD_INPUT { Box::new(io::stdin()) } else { Box::new(File::open(path)?) })
}

/// Tells how much was read.
struct Counted {
    input: Box<dyn Read + Send>,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).inspect(|bytes| self.progress.advance(*bytes as u64))
    }
}

/// What to do about files that do not go together.
pub(super) fn hint(broken: &Broken) -> String {
    match broken {
        Broken::Gap { .. } => "name the file that holds what is missing, too".to_owned(),
        Broken::Overlap { .. } => "name files that begin where the one before ends, and each of them once".to_owned(),
        Broken::OtherName { .. } => {
            "nothing says that the log was touched, but somebody renamed a file: give each the name of what it holds, \
             or move them away and let them be written again (`knit admin archive`)"
                .to_owned()
        }
        Broken::OtherHistory { .. } => "only parts of one log go together; keep archives of two logs apart".to_owned(),
        Broken::NoBegin { .. } | Broken::Damaged { .. } => {
            "the file is damaged, and not necessarily the log: take a copy of it from elsewhere, or move it away and \
             let it be written again (`knit admin archive`, `knit audit export`)"
                .to_owned()
        }
    }
}
