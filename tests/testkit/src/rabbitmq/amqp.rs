//! As much of AMQP 0-9-1 as it takes to know that a node is ready, and how many messages a queue has.
//!
//! The management API tells the same some seconds late, because it gathers what queues report from
//! time to time (`collect_statistics_interval`); a passive `queue.declare` asks the queue.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The protocol header (AMQP 0-9-1, section 4.2.2).
const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
const METHOD: u8 = 1;
const FRAME_END: u8 = 0xCE;

const START: (u16, u16) = (10, 10);
const START_OK: (u16, u16) = (10, 11);
const TUNE: (u16, u16) = (10, 30);
const TUNE_OK: (u16, u16) = (10, 31);
const OPEN: (u16, u16) = (10, 40);
const OPEN_OK: (u16, u16) = (10, 41);
const CLOSE: (u16, u16) = (10, 50);
const CHANNEL_OPEN: (u16, u16) = (20, 10);
const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
const CHANNEL_CLOSE: (u16, u16) = (20, 40);
const QUEUE_DECLARE: (u16, u16) = (50, 10);
const QUEUE_DECLARE_OK: (u16, u16) = (50, 11);

/// What a queue answers about itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Depth {
    /// The messages that are ready, without those that were delivered and not acknowledged.
    pub ready: u32,
    /// The consumers.
    pub consumers: u32,
}

/// A connection with one channel.
struct Session {
    socket: TcpStream,
}

/// Whether the server at `addr` speaks AMQP: it does as soon as it is ready.
pub(super) fn is_ready(addr: SocketAddr) -> bool {
    Session::start(addr, Duration::from_secs(1)).is_ok()
}

/// How many messages and consumers a queue has now; `None` if there is no such queue.
pub(super) fn depth(addr: SocketAddr, vhost: &str, queue: &str) -> io::Result<Option<Depth>> {
    let mut session = Session::start(addr, Duration::from_secs(10))?;
    session.open(vhost)?;
    let mut declare = vec![0, 0];
    short(&mut declare, queue);
    declare.push(1); // passive
    declare.extend([0; 4]); // no arguments
    session.send(1, QUEUE_DECLARE, &declare)?;
    let (method, arguments) = session.receive()?;
    session.close()?;
    if method == CHANNEL_CLOSE && arguments.starts_with(&404_u16.to_be_bytes()) {
        return Ok(None);
    }
    expect(method, QUEUE_DECLARE_OK, &arguments)?;
    // After the name of the queue: two numbers.
    let name = usize::from(*arguments.first().ok_or(io::ErrorKind::InvalidData)?);
    let number = |at: usize| {
        let bytes = arguments.get(1 + name + at..)?.first_chunk()?;
        Some(u32::from_be_bytes(*bytes))
    };
    let (ready, consumers) = number(0).zip(number(4)).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some(Depth { ready, consumers }))
}

impl Session {
    fn start(addr: SocketAddr, patience: Duration) -> io::Result<Self> {
        let mut socket = TcpStream::connect_timeout(&addr, patience)?;
        socket.set_read_timeout(Some(patience))?;
        socket.set_nodelay(true)?;
        socket.write_all(HEADER)?;
        let mut session = Self { socket };
        let (method, arguments) = session.receive()?;
        expect(method, START, &arguments)?;
        Ok(session)
    }

    fn open(&mut self, vhost: &str) -> io::Result<()> {
        let mut start_ok = vec![0; 4]; // no properties
        short(&mut start_ok, "PLAIN");
        long(&mut start_ok, "\0guest\0guest");
        short(&mut start_ok, "en_US");
        self.send(0, START_OK, &start_ok)?;
        // The limits are taken as they are offered, without the heartbeat, the last of them.
        let mut tune_ok = self.call(TUNE)?;
        tune_ok.truncate(6);
        tune_ok.extend([0; 2]);
        self.send(0, TUNE_OK, &tune_ok)?;
        let mut open = Vec::new();
        short(&mut open, vhost);
        open.extend([0; 2]);
        self.send(0, OPEN, &open)?;
        self.call(OPEN_OK)?;
        self.send(1, CHANNEL_OPEN, &[0])?;
        self.call(CHANNEL_OPEN_OK)?;
        Ok(())
    }

    /// Says goodbye, so that the broker's log does not warn of it.
    fn close(&mut self) -> io::Result<()> {
        // The code of success, an empty text, and no method that is at fault.
        self.send(0, CLOSE, &[0, 200, 0, 0, 0, 0, 0])?;
        // The answer to it, or what came before.
        self.receive().map(drop)
    }

    /// The arguments of the next method, which must be this one.
    fn call(&mut self, wanted: (u16, u16)) -> io::Result<Vec<u8>> {
        let (method, arguments) = self.receive()?;
        expect(method, wanted, &arguments)?;
        Ok(arguments)
    }

    fn send(&mut self, channel: u16, method: (u16, u16), arguments: &[u8]) -> io::Result<()> {
        let size = u32::try_from(4 + arguments.len()).map_err(io::Error::other)?;
        let mut frame = vec![METHOD];
        frame.extend(channel.to_be_bytes());
        frame.extend(size.to_be_bytes());
        frame.extend(method.0.to_be_bytes());
        frame.extend(method.1.to_be_bytes());
        frame.extend(arguments);
        frame.push(FRAME_END);
        self.socket.write_all(&frame)
    }

    fn receive(&mut self) -> io::Result<((u16, u16), Vec<u8>)> {
        let mut head = [0; 7];
        self.socket.read_exact(&mut head)?;
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        // No method that is read here has more than 64 KiB of arguments.
        if head[0] != METHOD || !(4..1 << 16).contains(&size) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut payload = vec![0; size as usize + 1];
        self.socket.read_exact(&mut payload)?;
        payload.pop();
        let arguments = payload.split_off(4);
        let class = u16::from_be_bytes([payload[0], payload[1]]);
        let method = u16::from_be_bytes([payload[2], payload[3]]);
        Ok(((class, method), arguments))
    }
}

/// An error that tells what the server said, if it is not what was asked for.
fn expect(method: (u16, u16), wanted: (u16, u16), arguments: &[u8]) -> io::Result<()> {
    if method == wanted {
        return Ok(());
    }
    let text = String::from_utf8_lossy(arguments);
    Err(io::Error::other(format!(
        "the broker sent method {method:?} instead of {wanted:?}: {text}"
    )))
}

/// A short string (section 4.2.5.3); what is longer than 255 bytes is cut, and then found nowhere.
fn short(frame: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    frame.push(length);
    frame.extend(&text.as_bytes()[..usize::from(length)]);
}

fn long(frame: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    frame.extend(length.to_be_bytes());
    frame.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::poll_until;
    use crate::rabbitmq::Rabbit;

    #[test]
    #[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
    fn a_connection_is_listed_and_closed_by_the_operator() {
        let broker = Rabbit::shared();
        let (vhost, other) = (broker.vhost(), broker.vhost());
        let mut session = Session::start(broker.addr(), Duration::from_secs(10)).unwrap();
        session.open(vhost.name()).unwrap();
        let port = session.socket.local_addr().unwrap().port();
        let connection = poll_until("the connection is listed", || vhost.connections().pop());
        assert_eq!(connection.peer_port, port);
        assert_eq!(other.connections().len(), 0);
        vhost.close_connection(&connection);
        let (method, arguments) = session.receive().unwrap();
        assert_eq!(method, CLOSE, "{}", String::from_utf8_lossy(&arguments));
    }
}
