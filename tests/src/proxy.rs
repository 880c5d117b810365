//! A witness between a client and a server: it passes everything on and remembers what was asked.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A witness that listens on a port of its own.
#[derive(Debug)]
pub struct Witness {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Witness {
    /// Stands before the server at `server`. Its threads end with the connections they pass on.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener knows its address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(upstream) = TcpStream::connect(server) else { continue };
                pass_on(client, upstream, &into);
            }
        });
        Self { address, heard }
    }

    /// Where clients find it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The request lines that passed, such as `GET /api/data`, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&heard).into_owned();
        text.lines().filter_map(|line| line.strip_suffix(" HTTP/1.1")).map(str::to_owned).collect()
    }
}

fn pass_on(client: TcpStream, upstream: TcpStream, heard: &Arc<Mutex<Vec<u8>>>) {
    let (Ok(mut answers), Ok(mut asker)) = (upstream.try_clone(), client.try_clone()) else { return };
    let heard = Arc::clone(heard);
    thread::spawn(move || {
        copy(client, upstream, |piece| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(piece);
        });
    });
    thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut asker);
        let _ = asker.shutdown(Shutdown::Write);
    });
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut see: impl FnMut(&[u8])) {
    let mut piece = [0; 8192];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        see(&piece[..read]);
        if to.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
