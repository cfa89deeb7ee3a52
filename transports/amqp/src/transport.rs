//! [`AmqpTransport`]: hands requests to the transport's own thread, on which everything happens.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread;
use std::time::{Duration, Instant};

use autobus_core::transport::{
    CallError, Capabilities, Confirm, Dead, Depth, Envelope, Options, Queue, Resolver, Sink,
    Status, Subscription, Topology, Transport,
};
use autobus_core::{Error, Result};
use tokio::sync::mpsc;

use crate::call::Call;
use crate::config::AmqpConfig;
use crate::consume::Source;
use crate::dead::Verdict;
use crate::error;
use crate::gauge::Gauge;
use crate::health::Health;
use crate::publish::{Done, Publisher, To};
use crate::thread::{Request, Start};
use crate::topology::Place;
use crate::wire::Limits;

/// RabbitMQ as a [`Transport`].
///
/// It has a thread of its own, named `bus-amqp`, and two connections: the broker stops reading from
/// those that publish when it is short of memory or disk, and acknowledgements must go on.
pub struct AmqpTransport {
    requests: mpsc::UnboundedSender<Request>,
    calls: mpsc::UnboundedSender<Call>,
    publisher: Publisher,
    health: Arc<Health>,
    closed: AtomicBool,
    limits: Limits,
    url: String,
}

impl AmqpTransport {
    /// Connects, and blocks until it is connected.
    ///
    /// # Errors
    ///
    /// `Transport`, if the broker refuses the user or the virtual host, which is told at once, or if
    /// there is no connection within [`connect_timeout`](Options::connect_timeout).
    pub fn connect(config: &AmqpConfig, options: &Options) -> Result<Arc<Self>> {
        let (requests, request_queue) = mpsc::unbounded_channel();
        let (calls, call_queue) = mpsc::unbounded_channel();
        let (outgoing, outgoing_queue) = mpsc::unbounded_channel();
        let (gauge, publishing) = (Gauge::default(), Gauge::default());
        let publisher = Publisher::new(outgoing, publishing);
        let health = Arc::new(Health::new());
        let (connected, answer) = std_mpsc::sync_channel(1);
        let start = Start {
            config: config.clone(),
            name: options.name.clone(),
            body_limit: options.body_limit,
            requests: request_queue,
            calls: call_queue,
            outgoing: outgoing_queue,
            publisher: publisher.clone(),
            gauge: gauge.clone(),
            health: health.clone(),
            connected,
        };
        let failed =
            |error| Error::transport("the thread `bus-amqp` cannot be started").with_source(error);
        thread::Builder::new()
            .name("bus-amqp".to_owned())
            .spawn(move || start.run())
            .map_err(failed)?;
        match answer.recv_timeout(options.connect_timeout) {
            Ok(result) => result?,
            Err(_) => return Err(late(config, options.connect_timeout, &health)),
        }
        Ok(Arc::new(Self {
            requests,
            calls,
            publisher,
            health,
            closed: AtomicBool::new(false),
            limits: Limits { body: options.body_limit },
            url: config.to_string(),
        }))
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Hands a request in, unless it is too late; then its answer is that.
    fn ask<T: 'static>(&self, done: Resolver<T>, request: impl FnOnce(Resolver<T>) -> Request) {
        if self.is_closed() {
            return done.resolve(Err(error::closed()));
        }
        // After the end of the thread, whoever waits is told by the drop.
        let _ = self.requests.send(request(done));
    }

    fn send(&self, message: Envelope, to: To, done: Resolver<Confirm>) {
        if self.is_closed() {
            return done.resolve(Err(error::closed()));
        }
        match self.limits.check(&message) {
            Ok(()) => self.publisher.send(Arc::new(message), None, to, Done::User(done)),
            Err(error) => done.resolve(Err(error)),
        }
    }
}

/// There was no connection in time.
fn late(config: &AmqpConfig, timeout: Duration, health: &Health) -> Error {
    let message =
        format!("no connection to {config} within {timeout:?}; is the broker running there?");
    match health.status() {
        Status::Disconnected { reason, .. } => Error::transport(message).with_source(reason),
        _ => Error::transport(message),
    }
}

impl Transport for AmqpTransport {
    fn capabilities(&self) -> Capabilities {
        // What is given back goes to the end: in front, it would come as one that was lost.
        Capabilities::NONE.with_foreign()
    }

    fn declare(&self, topology: Topology, done: Resolver<()>) {
        self.ask(done, |done| Request::Declare(topology, done));
    }

    fn publish(&self, message: Envelope, done: Resolver<Confirm>) {
        self.send(message, To::Exchange, done);
    }

    fn enqueue(&self, queue: &Queue, message: Envelope, done: Resolver<Confirm>) {
        self.send(message, To::Place(Place::Main(queue.clone())), done);
    }

    fn consume(&self, queue: &Queue, prefetch: u16, sink: Sink, done: Resolver<Subscription>) {
        let source = Source::Queue(queue.clone());
        self.ask(done, |done| Request::Consume { source, prefetch, sink, done });
    }

    fn serve(&self, command: &str, prefetch: u16, sink: Sink, done: Resolver<Subscription>) {
        let source = Source::Command(command.to_owned());
        self.ask(done, |done| Request::Consume { source, prefetch, sink, done });
    }

    fn call(
        &self,
        command: &str,
        message: Envelope,
        timeout: Duration,
        done: Resolver<Envelope, CallError>,
    ) {
        let unsent = if self.is_closed() {
            Some(error::closed())
        } else {
            self.limits.check(&message).err()
        };
        if let Some(error) = unsent {
            return done.resolve(Err(CallError::Unsent(error.to_string())));
        }
        // A timeout that no clock can show is none; a year is as good.
        let now = tokio::time::Instant::now();
        let year = Duration::from_secs(365 * 24 * 3600);
        let deadline = now + timeout.min(year);
        let call = Call { command: command.to_owned(), message, deadline, done };
        // After the end of the thread, whoever waits is told by the drop.
        let _ = self.calls.send(call);
    }

    fn dead_letters(&self, queue: &Queue, done: Resolver<Vec<Dead>>) {
        let queue = queue.clone();
        self.ask(done, |done| Request::DeadLetters(queue, done));
    }

    fn replay(&self, queue: &Queue, id: &str, done: Resolver<bool>) {
        let (queue, id) = (queue.clone(), id.to_owned());
        self.ask(done, |done| Request::Judge { queue, id, verdict: Verdict::Replay, done });
    }

    fn discard(&self, queue: &Queue, id: &str, done: Resolver<bool>) {
        let (queue, id) = (queue.clone(), id.to_owned());
        self.ask(done, |done| Request::Judge { queue, id, verdict: Verdict::Discard, done });
    }

    fn depth(&self, queue: &Queue, done: Resolver<Depth>) {
        let queue = queue.clone();
        self.ask(done, |done| Request::Depth(queue, done));
    }

    fn status(&self) -> Status {
        self.health.status()
    }

    fn close(&self, deadline: Instant, done: Resolver<()>) {
        if self.closed.swap(true, Ordering::AcqRel) && self.health.status() == Status::Closed {
            return done.resolve(Ok(()));
        }
        // A thread that has ended has closed.
        if let Err(mpsc::error::SendError(Request::Close(_, done))) =
            self.requests.send(Request::Close(deadline, done))
        {
            done.resolve(Ok(()));
        }
    }
}

impl fmt::Debug for AmqpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpTransport")
            .field("url", &self.url)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
