//! Contracts that outlive a process: what goes over the wire and what is stored.

pub mod proto;
