//! `knit audit keygen`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::signing::{SigningKey, public_path, save_new};
use crate::error::Error;
use crate::session::Session;
use crate::telling::Telling;

/// Make a pair of keys with which checkpoints are signed and verified
///
/// The private key is written to the file, which nobody else may read, and the public one beside it, to FILE.pub. Keep
/// the private key where those who administer the database cannot reach it, and give the public one to every auditor.
/// Both are PEM, as OpenSSL writes and reads them. Nothing is replaced.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    telling: Telling,
    /// Where to write the private key; the public one is written to FILE.pub
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// A pair of keys.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    private_key: PathBuf,
    public_key: PathBuf,
    /// The public key in hexadecimal, as checkpoints name it.
    key: String,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<(), Error> {
    let private_key = session.environment.expand_home(&arguments.file);
    let (key, seed) = SigningKey::generate()?;
    save_new(&private_key, &seed, &key.public())?;
    let answer = Answer { public_key: public_path(&private_key), private_key, key: hex::encode(key.public()) };
    arguments.telling.tell(&answer, lines)
}

fn lines(answer: &Answer) -> Vec<String> {
    vec![
        format!("private: {}", answer.private_key.display()),
        format!("public: {}", answer.public_key.display()),
        format!("key: {}", answer.key),
    ]
}
