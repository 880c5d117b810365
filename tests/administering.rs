//! An administrator at the server's machine: `knit admin`, through the administration socket.

mod socket;
mod state;
