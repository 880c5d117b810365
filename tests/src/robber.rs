//! A robber between a program and its database: it passes everything on, but the answer to one statement never
//! arrives, and the connection is gone with it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Bytes carried at once; a statement and its text arrive in one piece.
const PIECE_BYTES: usize = 1 << 20;

/// A robber that listens on a port of its own.
#[derive(Debug)]
pub struct Robber {
    port: u16,
    robbed: Arc<AtomicBool>,
}

impl Robber {
    /// Stands before the server at `port` of loopback. Whoever sends `fateful` for the first time does not hear
    /// the answer, although the server has done what was asked. Its threads end with the connections they carry.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn before(port: u16, fateful: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let own = listener.local_addr().expect("a listener knows its address").port();
        let robbed = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&robbed);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                carry(&client, &server, fateful, &done);
            }
        });
        Self { port: own, robbed }
    }

    /// Where the program finds it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether an answer was robbed.
    #[must_use]
    pub fn has_robbed(&self) -> bool {
        self.robbed.load(Ordering::SeqCst)
    }
}

/// Carries both ways; the thread that carries questions tells the other when a fateful one has passed.
fn carry(client: &TcpStream, server: &TcpStream, fateful: &'static str, robbed: &Arc<AtomicBool>) {
    let asked = Arc::new(AtomicBool::new(false));
    let (Ok(questions), Ok(onward)) = (client.try_clone(), server.try_clone()) else { return };
    let (Ok(answers), Ok(back)) = (server.try_clone(), client.try_clone()) else { return };
    let (hears, robbed) = (Arc::clone(&asked), Arc::clone(robbed));
    thread::spawn(move || {
        pass(questions, onward, |piece| {
            if piece.windows(fateful.len()).any(|text| text == fateful.as_bytes()) {
                hears.store(true, Ordering::SeqCst);
            }
            true
        });
    });
    // The server has answered, so it has recorded; and nobody hears it.
    thread::spawn(move || {
        pass(answers, back, |_| !asked.load(Ordering::SeqCst) || robbed.swap(true, Ordering::SeqCst));
    });
}

/// Passes pieces on for as long as `may_pass` says so; then neither side has a connection any more.
fn pass(mut from: TcpStream, mut to: TcpStream, mut may_pass: impl FnMut(&[u8]) -> bool) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        if !may_pass(&piece[..read]) || to.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
