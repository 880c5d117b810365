//! A doorkeeper, to whom every Worker says on arrival where its output goes. Since each attempt of a Run has
//! outputs of its own, no output may ever be named twice.
//!
//! A Worker's file system shows nothing of the outside, but it may use the network, so the doorkeeper listens on
//! loopback. He answers when he has taken note, and the Worker waits for that: whatever it has done, he knows it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// How volumes are named; the id of their Data follows.
const VOLUME: &str = "data-knitid-";

/// A doorkeeper on a port of his own.
#[derive(Debug)]
pub struct Doorkeeper {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Doorkeeper {
    /// Begins to listen. His thread ends with the test.
    ///
    /// # Panics
    /// When he cannot listen.
    #[must_use]
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener knows its address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        thread::spawn(move || listener.incoming().flatten().for_each(|guest| note(guest, &into)));
        Self { address, heard }
    }

    /// The line of a Worker's script, for bash, by which it announces itself with its output `path`.
    #[must_use]
    pub fn greeting(&self, path: &str) -> String {
        // The table of mounts names the directory outside that an output lies in.
        format!(
            "exec 3<>/dev/tcp/{}/{}; grep -F ' {path} ' /proc/self/mountinfo >&3; read -r _ <&3; ",
            self.address.ip(),
            self.address.port()
        )
    }

    /// The ids of the Data that were named as outputs, in the order of arrival.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Default for Doorkeeper {
    fn default() -> Self {
        Self::new()
    }
}

/// Whoever says nothing that is understood gets no answer, and does not come in.
fn note(guest: TcpStream, heard: &Mutex<Vec<String>>) {
    let mut line = String::new();
    let mut guest = BufReader::new(guest);
    if guest.read_line(&mut line).is_err() {
        return;
    }
    let Some((_, rest)) = line.split_once(VOLUME) else { return };
    let id: String = rest.chars().take_while(|c| c.is_ascii_hexdigit() || *c == '-').collect();
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    let _ = guest.get_mut().write_all(b"come in\n");
}
