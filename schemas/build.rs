//! Compiles every `proto/*.proto` into one module tree, without `protoc`.
//!
//! A message of package `knit.store` becomes `knit_schemas::proto::knit::store::…`; the folder may be
//! empty, then the tree is.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

const PROTO_DIR: &str = "proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO_DIR}");
    println!("cargo::rerun-if-changed=build.rs");
    let tree = PathBuf::from(env::var("OUT_DIR")?).join("proto.rs");
    let files = proto_files(Path::new(PROTO_DIR))?;
    if files.is_empty() {
        fs::write(tree, "")?;
        return Ok(());
    }
    let descriptors = protox::compile(&files, [PROTO_DIR])?;
    prost_build::Config::new().include_file("proto.rs").compile_fds(descriptors)?;
    Ok(())
}

/// The schema files, sorted so that the generated tree does not depend on the file system.
fn proto_files(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    if dir.is_dir() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            println!("cargo::rerun-if-changed={}", path.display());
            if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
