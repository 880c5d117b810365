//! Everything that fuzzing found once, and what leads it to every corner, read again.

use std::path::{Path, PathBuf};

use knit_fuzz::TARGETS;

fn files(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder is readable").path()).collect();
    files.sort();
    files
}

/// One test for each target, so that they run side by side and a failure names its target.
macro_rules! corpora {
    ($($name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                let target = knit_fuzz::target(stringify!($name)).expect("the target exists");
                for file in files(target.name) {
                    println!("reading {}", file.display());
                    (target.read)(&std::fs::read(&file).expect("the file is readable"));
                }
            }
        )+

        #[test]
        fn every_target_has_a_corpus_and_is_read_here() {
            let read_here = [$(stringify!($name)),+];
            for target in TARGETS {
                assert!(read_here.contains(&target.name), "{} is not read here", target.name);
                assert!(!files(target.name).is_empty(), "{} has no corpus", target.name);
            }
            assert_eq!(read_here.len(), TARGETS.len());
        }
    };
}

corpora!(
    tags,
    timestamps,
    durations,
    quantities,
    images,
    plan_files,
    profiles,
    bodies,
    events,
    exports,
    checkpoints,
    snapshots,
    uploads,
    pulls,
    queries,
    requests,
    connections,
);
