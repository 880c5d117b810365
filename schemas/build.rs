//! Compiles every message in `proto/` to Rust, in pure Rust: nobody has to install `protoc`.

use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new("proto");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "proto"));
    files.sort();
    let described = protox::compile(&files, [folder])?;
    prost_build::Config::new().include_file("proto.rs").compile_fds(described)?;
    Ok(())
}
