//! Files of checkpoints.

use knit_schemas::checkpoint;

/// A file that is read says what it says in no other way.
pub(crate) fn checkpoints(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(all) = checkpoint::read(text) {
        let written: String = all.iter().map(ToString::to_string).collect();
        assert_eq!(written, text, "there is one way to write a checkpoint");
    }
}
