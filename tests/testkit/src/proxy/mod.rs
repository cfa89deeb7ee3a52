//! A TCP proxy on loopback that breaks what goes through it.
//!
//! One thread serves all connections of a proxy and ends with it. Each method returns when what it
//! asks for is in force.

mod pipe;
mod relay;

use std::fmt;
use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Error, ErrorKind, OrPanic as _};
use crate::ports;
use relay::{Counters, Relay};

/// A TCP proxy in front of a server.
pub struct Proxy {
    addr: SocketAddr,
    line: Mutex<Line>,
    thread: Option<JoinHandle<()>>,
}

/// How orders reach the thread, which waits on sockets and not on channels.
struct Line {
    orders: Sender<(Order, Sender<Counters>)>,
    wake: UnixStream,
}

/// What is asked of the thread.
#[derive(Clone, Copy, Debug)]
enum Order {
    Cut,
    Refuse,
    Accept,
    Delay(Duration),
    Flow(Flow),
    Count,
}

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flow {
    Pass,
    Hold,
    Swallow,
}

impl Proxy {
    /// Starts a proxy for the server at `target`, which need not run yet.
    ///
    /// # Panics
    ///
    /// If `target` is no address, or the operating system gives no port.
    #[track_caller]
    pub fn start(target: impl ToSocketAddrs) -> Self {
        let failed = |error| Error::because(ErrorKind::Io, "cannot start a proxy", error);
        Self::try_start(target).map_err(failed).or_panic()
    }

    fn try_start(target: impl ToSocketAddrs) -> io::Result<Self> {
        let target = target.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let addr = ports::loopback(ports::free());
        let (orders, inbox) = mpsc::channel();
        let (wake, woken) = UnixStream::pair()?;
        let relay = Relay::new(addr, target, inbox, woken)?;
        let thread = thread::Builder::new().name("proxy".into()).spawn(move || relay.run())?;
        Ok(Self { addr, line: Mutex::new(Line { orders, wake }), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port on which it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Resets every connection, both ways, and tells how many there were. New ones are accepted.
    #[allow(clippy::must_use_candidate, reason = "most who cut do not count")]
    pub fn cut(&self) -> usize {
        self.order(Order::Cut).last_cut
    }

    /// Refuses new connections from now on: nobody listens on the port. Present ones stay.
    pub fn refuse(&self) {
        self.order(Order::Refuse);
    }

    /// Accepts connections again after [`refuse`](Proxy::refuse).
    ///
    /// # Panics
    ///
    /// If another process took the port meanwhile.
    pub fn accept(&self) {
        let listening = self.order(Order::Accept).listening;
        assert!(listening, "port {} was taken while the proxy refused connections", self.port());
    }

    /// Delivers what arrives from now on this much later, in each direction; zero is no delay.
    pub fn delay(&self, delay: Duration) {
        self.order(Order::Delay(delay));
    }

    /// Takes everything, in both directions, and delivers nothing, also not the end of a connection.
    ///
    /// Bytes are lost, so that no stream can go on after them: [`pass`](Proxy::pass) resets the
    /// connections that lost some, as a host does that has forgotten them.
    pub fn swallow(&self) {
        self.order(Order::Flow(Flow::Swallow));
    }

    /// Reads and delivers nothing, in both directions, and loses nothing: a network that is down.
    ///
    /// What is sent meanwhile waits in the sender's buffers and arrives after
    /// [`pass`](Proxy::pass).
    pub fn hold(&self) {
        self.order(Order::Flow(Flow::Hold));
    }

    /// Lets bytes through again after [`swallow`](Proxy::swallow) or [`hold`](Proxy::hold).
    pub fn pass(&self) {
        self.order(Order::Flow(Flow::Pass));
    }

    /// How many connections there are now.
    pub fn connections(&self) -> usize {
        self.order(Order::Count).connections
    }

    /// How many connections were accepted since the start.
    pub fn accepted(&self) -> usize {
        self.order(Order::Count).accepted
    }

    /// How many connections [`cut`](Proxy::cut) has reset since the start.
    pub fn cuts(&self) -> usize {
        self.order(Order::Count).cuts
    }

    fn order(&self, order: Order) -> Counters {
        let (answer, counters) = mpsc::channel();
        {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            // Both fail only if the thread panicked, which the answer tells.
            let _ = line.orders.send((order, answer));
            let _ = line.wake.write_all(&[0]);
        }
        counters.recv().expect("the thread of the proxy answers as long as the proxy exists")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The thread ends when the other end of the pair is closed.
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = line.wake.shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("addr", &self.addr).finish_non_exhaustive()
    }
}
