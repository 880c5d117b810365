//! The kit: both programs run from outside, as users, administrators and strangers run them.
//!
//! It knows the command lines, the wire and the signals, and nothing of the crates behind them. A test says
//! what a person does in the words of [`workshop`]; what no honest client does it says in raw [`http`]. Every
//! server has a directory, a port and an environment of its own, so that tests run side by side, and is gone
//! with everything it made when its test ends.

pub mod workshop;

pub mod archive;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod disk;
pub mod doorkeeper;
pub mod gate;
pub mod http;
pub mod load;
pub mod openmetrics;
pub mod plans;
pub mod server;

pub mod port;
pub mod postgres;
pub mod processes;
pub mod program;
pub mod proxy;
pub mod robber;
pub mod wait;
