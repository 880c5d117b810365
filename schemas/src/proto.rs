//! Messages of snapshots and exports, compiled from the files in `proto/`: one module for each package.

#[expect(missing_docs, unreachable_pub, reason = "generated; the .proto files carry the comments")]
#[expect(clippy::large_enum_variant, reason = "generated; nearly every record of an export is an event")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/proto.rs"));
}

pub use generated::knitfab::*;
