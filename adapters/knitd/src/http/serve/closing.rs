//! How a listener is closed without resetting anybody: first nobody new gets a connection, then those who have one
//! are taken in, then it is closed.

use std::io;
use std::time::Duration;

use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// How long a handshake that has begun may take to end: its last packet needs half a round trip to come, and a
/// client farther away than this has no business with a server of one cluster.
const HANDSHAKE_WAIT: Duration = Duration::from_millis(50);

/// The connections that the kernel has made or is about to make. Were the listener just closed, it would reset them,
/// and with them requests that may have been sent.
pub(super) async fn the_last_of(listener: TcpListener) -> Vec<TcpStream> {
    match ignore_newcomers(&listener) {
        Ok(()) => sleep(HANDSHAKE_WAIT).await,
        // Some sandboxes have no filters. A client is reset then if it comes in the microseconds before the end.
        Err(error) => tracing::debug!("cannot keep newcomers off while stopping: {error}"),
    }
    let mut sockets = Vec::new();
    // The runtime may not know yet who has come in the meantime; the kernel does. There are no more of them than its
    // queue holds.
    match listener.into_std() {
        Ok(listener) => {
            while let Ok((socket, _)) = listener.accept() {
                sockets.extend(socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket)));
            }
        }
        Err(error) => tracing::warn!("cannot look for connections that still wait: {error}"),
    }
    sockets
}

/// Lets the kernel drop the first packet of every new connection. Who sent it sends it again after a second and
/// meets no listener, or the next one: both are certain to have asked nothing of this server.
fn ignore_newcomers(listener: &TcpListener) -> io::Result<()> {
    SockRef::from(listener).attach_filter(&NO_SYN)
}

/// A program of the classic packet filter. It sees packets from the TCP header on, whose flags are byte 13 (RFC 9293,
/// 3.1); connections inherit it, and never see a SYN.
const NO_SYN: [SockFilter; 4] = [
    SockFilter::new(LOAD_BYTE, 0, 0, 13),
    SockFilter::new(JUMP_IF_ANY_BIT, 0, 1, SYN),
    SockFilter::new(RETURN, 0, 0, 0),
    SockFilter::new(RETURN, 0, 0, u32::MAX),
];
/// `BPF_LD | BPF_B | BPF_ABS` of linux/bpf_common.h.
const LOAD_BYTE: u16 = 0x30;
/// `BPF_JMP | BPF_JSET | BPF_K`.
const JUMP_IF_ANY_BIT: u16 = 0x45;
/// `BPF_RET | BPF_K`: how many bytes of the packet to keep.
const RETURN: u16 = 0x06;
const SYN: u32 = 0x02;

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::TcpStream as Client;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Shorter than the second after which the kernel tries again.
    const PATIENCE: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn nobody_new_is_connected_and_who_was_is_taken_in() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut early = Client::connect(address).unwrap();
        early.write_all(b"ask").unwrap();
        // Where a sandbox has no filters, nobody can be kept off; who came early is taken in all the same.
        if ignore_newcomers(&listener).is_ok() {
            let late = tokio::task::spawn_blocking(move || Client::connect_timeout(&address, PATIENCE)).await.unwrap();
            assert_eq!(late.map_err(|error| error.kind()).unwrap_err(), ErrorKind::TimedOut);
        }
        let mut taken = the_last_of(listener).await;
        assert_eq!(taken.len(), 1);
        let (mut asked, mut answer) = ([0; 3], [0; 6]);
        taken[0].read_exact(&mut asked).await.unwrap();
        taken[0].write_all(b"answer").await.unwrap();
        early.read_exact(&mut answer).unwrap();
        assert_eq!((&asked, &answer), (b"ask", b"answer"));
    }
}
