//! A gate before which Workers wait until a test opens it: what happens meanwhile has happened while they ran, however
//! fast or slow the machine is.
//!
//! A Worker's file system shows nothing of the outside, but it may use the network, so the gate is on loopback.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// A gate at a port of its own, closed until it is opened.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    is_open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// The line of a Worker's script at which it waits, once it has come to the gate.
    pub const WAIT: &str = "read -r _ <&3; ";

    /// A closed gate. Its threads end with the test.
    ///
    /// # Panics
    /// When there is no port for it.
    #[must_use]
    pub fn closed() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener knows its address");
        let is_open = Arc::<(Mutex<bool>, Condvar)>::default();
        let opened = Arc::clone(&is_open);
        thread::spawn(move || {
            for guest in listener.incoming().flatten() {
                let opened = Arc::clone(&opened);
                thread::spawn(move || let_in(guest, &opened));
            }
        });
        Self { address, is_open }
    }

    /// The line of a Worker's script, for bash, by which it comes to the gate. From then on there is a line to be read
    /// from descriptor 3 once the gate is open.
    #[must_use]
    pub fn approach(&self) -> String {
        format!("exec 3<>/dev/tcp/{}/{}; ", self.address.ip(), self.address.port())
    }

    /// Lets everybody go on who waits, and whoever comes later.
    pub fn open(&self) {
        *self.is_open.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.is_open.1.notify_all();
    }
}

fn let_in(mut guest: TcpStream, (is_open, opened): &(Mutex<bool>, Condvar)) {
    let is_open = is_open.lock().unwrap_or_else(PoisonError::into_inner);
    drop(opened.wait_while(is_open, |is_open| !*is_open));
    // Whoever has gone meanwhile does not want to come in any more.
    let _ = guest.write_all(b"come in\n");
}
