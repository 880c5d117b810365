//! `knit plan template`.

mod draft;
pub(crate) mod image;

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;

use self::draft::Draft;
use self::image::Image;
use crate::error::Error;
use crate::knitenv::Knitenv;
use crate::output;
use crate::session::Session;

/// How standard input is written as a file.
const STDIN: &str = "-";

/// Print a Plan file to begin with
///
/// The image is read from an archive as `docker save IMAGE` writes it: its command is copied, and paths that look
/// like inputs and outputs are guessed from it. Look the file through, then register it with `knit plan apply`.
/// Tags and limits of the nearest knitenv are filled in.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  docker save trainer:1 | knit plan template > plan.yaml\n  \
                        knit plan template --scratch > plan.yaml")]
pub(crate) struct Arguments {
    /// Read no image: a skeleton to be filled in
    #[arg(long, conflicts_with = "image")]
    scratch: bool,
    /// Archive of the image; `-` reads standard input
    #[arg(long, short, value_name = "ARCHIVE", default_value = STDIN)]
    input: PathBuf,
    /// Which image of the archive, if it holds several
    #[arg(value_name = "IMAGE:TAG")]
    image: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<(), Error> {
    let knitenv = Knitenv::load(session)?;
    let draft = if arguments.scratch {
        Draft::from_scratch(&knitenv)
    } else {
        let image = read(&arguments.input, arguments.image.as_deref())?;
        Draft::of_image(&image, &knitenv)
    };
    for note in &draft.notes {
        output::say(format_args!("note: {note}"));
    }
    Ok(output::text(&draft.to_string())?)
}

fn read(input: &Path, wanted: Option<&str>) -> Result<Image, Error> {
    let not_understood = |path: PathBuf| move |source| Error::Image { path, source };
    if input.as_os_str() != STDIN {
        let archive = File::open(input).map_err(Error::file("read", input))?;
        return image::find(io::BufReader::new(archive), wanted).map_err(not_understood(input.to_owned()));
    }
    let mut stdin = io::stdin().lock();
    if stdin.is_terminal() {
        return Err(Error::Usage("which image? Pipe `docker save IMAGE` into this, or say --scratch".to_owned()));
    }
    let image = image::find(&mut stdin, wanted).map_err(not_understood("standard input".into()))?;
    // Whoever writes the archive must not die of a broken pipe: what is left of it is of no interest.
    io::copy(&mut stdin, &mut io::sink()).map_err(Error::file("read", "standard input"))?;
    Ok(image)
}
