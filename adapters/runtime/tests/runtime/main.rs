//! The local runtime from outside: real directories, real processes.

// The attribute tells the lints that helpers of tests are tests too.
#[cfg(test)]
mod archives;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod server_restarts;
#[cfg(test)]
mod volumes;
#[cfg(test)]
mod workers;
