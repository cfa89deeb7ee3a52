//! The thread of a proxy: it waits for its sockets and for orders, in one `poll`.

use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};

use super::pipe::Pipe;
use super::{Flow, Order};

/// What the proxy counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: usize,
    pub(super) accepted: usize,
    pub(super) cuts: usize,
    /// How many the last cut has reset.
    pub(super) last_cut: usize,
    pub(super) listening: bool,
}

pub(super) struct Relay {
    addr: SocketAddr,
    target: SocketAddr,
    orders: Receiver<(Order, Sender<Counters>)>,
    woken: UnixStream,
    listener: Option<TcpListener>,
    links: Vec<Link>,
    delay: Duration,
    flow: Flow,
    counters: Counters,
}

/// A connection of a client, and the one to the target that belongs to it.
struct Link {
    client: TcpStream,
    server: TcpStream,
    /// From the client to the server.
    up: Pipe,
    /// From the server to the client.
    down: Pipe,
    /// A socket failed: the other one is reset.
    broken: bool,
}

/// Which socket an entry of the poll set is.
#[derive(Clone, Copy)]
enum Source {
    Wake,
    Listener,
    Client(usize),
    Server(usize),
}

impl Relay {
    pub(super) fn new(
        addr: SocketAddr,
        target: SocketAddr,
        orders: Receiver<(Order, Sender<Counters>)>,
        woken: UnixStream,
    ) -> io::Result<Self> {
        woken.set_nonblocking(true)?;
        let listener = Some(listen(addr)?);
        let (delay, flow, counters) = (Duration::ZERO, Flow::Pass, Counters::default());
        let links = Vec::new();
        Ok(Self { addr, target, orders, woken, listener, links, delay, flow, counters })
    }

    /// Serves until the other end of `woken` is closed.
    pub(super) fn run(mut self) {
        while let Ok(ready) = self.wait() {
            for (source, flags) in ready {
                match source {
                    Source::Wake => match self.woken.read(&mut [0; 64]) {
                        Ok(0) => return,
                        _ => self.obey(),
                    },
                    Source::Listener => self.admit(),
                    Source::Client(index) => self.receive(index, true, flags),
                    Source::Server(index) => self.receive(index, false, flags),
                }
            }
            self.deliver();
        }
    }

    /// Waits until a socket is ready, an order comes, or delayed bytes are due.
    fn wait(&self) -> io::Result<Vec<(Source, PollFlags)>> {
        let now = Instant::now();
        let mut sources = vec![Source::Wake];
        let mut fds = vec![PollFd::new(&self.woken, PollFlags::IN)];
        if let Some(listener) = &self.listener {
            sources.push(Source::Listener);
            fds.push(PollFd::new(listener, PollFlags::IN));
        }
        let mut next = None;
        if self.flow != Flow::Hold {
            for (index, link) in self.links.iter().enumerate() {
                for (source, socket, from, to) in [
                    (Source::Client(index), &link.client, &link.up, &link.down),
                    (Source::Server(index), &link.server, &link.down, &link.up),
                ] {
                    let mut flags = PollFlags::empty();
                    flags.set(PollFlags::IN, from.reads());
                    flags.set(PollFlags::OUT, to.due().is_some_and(|due| due <= now));
                    // A socket of which nothing is asked would report its end again and again.
                    if !flags.is_empty() {
                        sources.push(source);
                        fds.push(PollFd::new(socket, flags));
                    }
                    let later = to.due().filter(|due| *due > now);
                    next = [next, later].into_iter().flatten().min();
                }
            }
        }
        let timeout = next.map(|due| due.saturating_duration_since(now));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            other => other?,
        };
        let ready = sources.into_iter().zip(fds.iter().map(PollFd::revents));
        Ok(ready.filter(|(_, flags)| !flags.is_empty()).collect())
    }

    fn obey(&mut self) {
        while let Ok((order, answer)) = self.orders.try_recv() {
            match order {
                Order::Cut => {
                    // What has not been accepted yet is a connection to the client.
                    self.admit();
                    self.counters.last_cut = self.links.len();
                    self.counters.cuts += self.links.len();
                    self.links.drain(..).for_each(Link::reset);
                }
                Order::Refuse => {
                    self.admit();
                    self.listener = None;
                }
                Order::Accept => {
                    if self.listener.is_none() {
                        self.listener = listen(self.addr).ok();
                    }
                }
                Order::Delay(delay) => self.delay = delay,
                Order::Flow(flow) => self.turn(flow),
                Order::Count => self.admit(),
            }
            self.counters.connections = self.links.len();
            self.counters.listening = self.listener.is_some();
            let _ = answer.send(self.counters);
        }
    }

    fn turn(&mut self, flow: Flow) {
        match flow {
            Flow::Swallow => {
                for link in &mut self.links {
                    link.up.lose();
                    link.down.lose();
                }
            }
            Flow::Pass => {
                let lost = |link: &mut Link| link.up.lost || link.down.lost;
                self.links.extract_if(.., lost).for_each(Link::reset);
            }
            Flow::Hold => {}
        }
        self.flow = flow;
    }

    /// Accepts every connection that waits.
    fn admit(&mut self) {
        while let Some(Ok((client, _))) = self.listener.as_ref().map(TcpListener::accept) {
            self.counters.accepted += 1;
            match Link::open(client, self.target) {
                Ok(link) => self.links.push(link),
                // Dropping the client's socket has ended the connection.
                Err(_refused) => {}
            }
        }
    }

    fn receive(&mut self, index: usize, from_client: bool, flags: PollFlags) {
        let ended = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        // Orders that came in the same round may have removed links.
        let Some(link) = self.links.get_mut(index).filter(|_| flags.intersects(ended)) else {
            return;
        };
        let lose = self.flow == Flow::Swallow;
        let filled = if from_client {
            link.up.fill(&link.client, self.delay, lose)
        } else {
            link.down.fill(&link.server, self.delay, lose)
        };
        link.broken |= filled.is_err();
    }

    /// Writes what is due, and removes the connections that are over.
    fn deliver(&mut self) {
        let now = Instant::now();
        if self.flow == Flow::Pass {
            for link in &mut self.links {
                let written = link
                    .up
                    .drain(&link.server, now)
                    .and_then(|()| link.down.drain(&link.client, now));
                link.broken |= written.is_err();
            }
        }
        self.links.extract_if(.., |link| link.broken).for_each(Link::reset);
        self.links.retain(|link| !(link.up.is_done() && link.down.is_done()));
    }
}

impl Link {
    fn open(client: TcpStream, target: SocketAddr) -> io::Result<Self> {
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let server = TcpStream::from(socket(family, SocketType::STREAM, None)?);
        server.set_nonblocking(true)?;
        match connect(&server, &target) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        server.set_nodelay(true)?;
        let (up, down) = (Pipe::default(), Pipe::default());
        Ok(Self { client, server, up, down, broken: false })
    }

    /// Ends both connections with a reset, which loses what was on its way.
    fn reset(self) {
        for socket in [&self.client, &self.server] {
            // Closing a socket that lingers for no time resets the connection (`socket(7)`).
            let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
        }
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
