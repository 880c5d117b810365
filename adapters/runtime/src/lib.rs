//! Where Data and Workers live: the runtime port and its implementations.
//!
//! Knitfab decides in `knit-domain` and remembers in the log; somebody must then make directories,
//! start processes and move bytes. That somebody is a [`Runtime`]. Every operation of the port is
//! idempotent and named by the domain (a volume by its [`VolumeRef`], a Worker by its
//! [`WorkerName`]), so a reactor that crashed simply asks again. The port is designed from both
//! runtimes: what a volume *is* (a directory here, a claim in a cluster), how a Worker is confined
//! and how its end is noticed stays behind it.
//!
//! [`local`] is the embedded default: Workers are sandboxed processes of this machine. [`archive`]
//! is the wire's tar in gzip, read with suspicion and written with care; every runtime uses it.
//!
//! [`VolumeRef`]: knit_domain::id::VolumeRef
//! [`WorkerName`]: knit_domain::id::WorkerName

pub mod archive;
pub mod local;
pub mod port;

mod mode;
mod tree;

pub use port::Runtime;
