//! Ports for servers that must find theirs again after a restart.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicU16, Ordering};

use socket2::{Domain, Socket, Type};

/// Where ports are looked for: below those that the system gives to outgoing connections, one of which would
/// hold the port while its server is away.
const FIRST: u16 = 20_000;
/// How many there are from there on.
const COUNT: u16 = 12_000;

/// A loopback port that is ours until this is dropped, whether a server listens there or is away.
///
/// A socket is bound to it that never listens, so that whoever connects while the server is away is refused, as it
/// must be. The kernel lets a server bind the port beside that socket if both say that they share it, which servers
/// do (`SO_REUSEADDR`, so that they can be started again at once). Another test process that looks for a port does
/// not say so, and goes on to the next.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _ours: Socket,
}

impl Port {
    /// A port that nobody has, another one each time.
    ///
    /// # Panics
    /// When all are taken.
    #[must_use]
    pub fn claim() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Test processes run side by side and should not try the same ports in the same order.
        let own = u16::try_from(std::process::id() % u32::from(COUNT)).expect("it is less than COUNT");
        let candidates = (0..COUNT).map(|_| FIRST + (own + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT);
        let mut claimed = candidates.filter_map(Self::claim_only);
        claimed.next().expect("a free loopback port")
    }

    fn claim_only(number: u16) -> Option<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
        socket.bind(&address_of(number).into()).ok()?;
        // Only now: shared from the beginning, it could be bound although somebody else has claimed it.
        socket.set_reuse_address(true).expect("our socket can be shared");
        Some(Self { number, _ours: socket })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Where a server listens that has this port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        address_of(self.number)
    }
}

fn address_of(number: u16) -> SocketAddr {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, number).into()
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_claimed_port_is_for_its_server_alone_also_while_that_is_away() {
        let port = Port::claim();
        let refused = || TcpStream::connect(port.address()).unwrap_err().kind();
        for _ in 0..2 {
            assert_eq!(refused(), ErrorKind::ConnectionRefused, "nobody listens");
            let server = TcpListener::bind(port.address()).expect("its server can listen");
            let client = TcpStream::connect(port.address()).expect("and is reached");
            drop((server.accept().expect("it takes connections"), client));
            assert!(Port::claim_only(port.number()).is_none(), "nobody else has it meanwhile");
            drop(server);
            assert!(Port::claim_only(port.number()).is_none(), "nor while the server is away");
        }
        assert_eq!(refused(), ErrorKind::ConnectionRefused);
    }
}
