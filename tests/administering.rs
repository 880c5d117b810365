//! An administrator at the server's machine: `knit admin`, through the administration socket.

mod archiving;
mod damaged;
mod damaged_ends;
mod doctor;
mod ended;
mod envelopes;
mod rebuild;
mod redact;
mod resumed;
mod skip;
mod snapshots;
mod socket;
mod state;
