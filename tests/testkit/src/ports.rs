//! Free ports of the loopback interface.
//!
//! They lie below the range from which Linux takes the ports of outgoing connections (32768 to 60999,
//! `net.ipv4.ip_local_port_range`): the port of a server that was killed is still free when it starts
//! again, because no connection can have taken it meanwhile.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port of loopback on which nobody listens, and which this process is not given again.
///
/// Other processes may take it before it is used; they begin at other ports, at random, so this is
/// rare.
///
/// # Panics
///
/// If no port is free.
pub fn free() -> u16 {
    static START: OnceLock<u16> = OnceLock::new();
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = *START.get_or_init(|| {
        let random = RandomState::new().hash_one(std::process::id()) % u64::from(COUNT);
        u16::try_from(random).unwrap_or_default()
    });
    (0..COUNT)
        .map(|_| {
            let offset = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)) + u32::from(start);
            FIRST + u16::try_from(offset % u32::from(COUNT)).unwrap_or_default()
        })
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("no port between 12000 and 31999 is free on 127.0.0.1")
}

/// The address of `port` on loopback.
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_and_each_can_be_listened_on() {
        let ports: Vec<u16> = (0..50).map(|_| free()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 50);
        let listeners: Vec<TcpListener> =
            ports.iter().map(|port| TcpListener::bind(loopback(*port)).unwrap()).collect();
        assert_eq!(listeners.len(), 50);
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        let used: HashSet<u16> = (0..20).map(|_| free()).collect();
        let next = used.iter().max().unwrap() + 1;
        let _listener = TcpListener::bind(loopback(next)).ok();
        assert_ne!(free(), next);
    }
}
