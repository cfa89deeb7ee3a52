//! What carries messages beyond the process: the trait that brokers implement.
//!
//! A bus gives a transport [`Envelope`]s and gets envelopes from it; it decides what becomes of each
//! delivery, and the transport does it. So codecs, retries, attempts and dead letters have one
//! meaning, whatever the broker. All transports pass one conformance suite, which is gated by what
//! each [can do](Capabilities).
//!
//! A transport is found by the scheme of its URL: it registers a [`Connector`], which `inventory`
//! gathers at link time like everything else.
//!
//! No method blocks. A request is answered where its [`Resolver`] is resolved, on whatever thread.

mod incoming;
mod memory;
mod resolver;
mod topology;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::incoming::{Acker, Incoming, Settle, Settlement, Sink};
pub use self::resolver::{Abandoned, Completion, Resolver};
pub use self::topology::{Binding, Queue, QueueKind, Topology};
use crate::clock::Clock;
pub use crate::envelope::{Envelope, Headers};
use crate::error::Result;
use crate::failure::Failure;

/// How many deliveries of one message may end without an outcome before it is a dead letter: its
/// consumer died five times, so the message is what kills it.
pub const MOST_LOST: u32 = 5;

/// A connection to a broker, for one bus.
///
/// **Losing the connection** is the transport's own affair: it connects again with a growing, jittered
/// wait, declares the topology anew, resumes its consumers and publishes again what was not
/// confirmed. What was delivered and not settled comes again, with [`Envelope::lost`] counted. What is
/// asked of it meanwhile waits; [`status`](Self::status) tells.
///
/// **Nothing is lost**: a message is gone from its queue after it was settled, and not before. It may
/// come twice.
///
/// **No request is taken back**: dropping what waits for a [`Resolver`] changes nothing of it.
///
/// **One that kills its consumer** must not take its neighbours along: what comes again because it was
/// lost is delivered one by one, apart from what comes for the first time.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// What it can do beyond what every transport must.
    fn capabilities(&self) -> Capabilities;

    /// Makes exchanges, queues and bindings exist, also after each reconnect. Declarations add up, and
    /// declaring the same again changes nothing.
    ///
    /// **Order**: what is published once this is resolved finds them. **Disconnected**: it waits for the
    /// connection. **Closing**: one that is under way is answered; afterwards `Closed`.
    ///
    /// # Errors
    ///
    /// `Transport`, if the broker has something of the same name and other properties: names it.
    fn declare(&self, topology: Topology, done: Resolver<()>);

    /// Publishes on the message's exchange; confirmed once every queue that matches has it safe.
    ///
    /// **Order**: messages of one thread arrive in each queue in the order of the calls, unless the
    /// connection is lost on the way. **Disconnected**: it waits for the connection. **Cancellation**:
    /// none; what was taken is published. **Closing**: what was taken is confirmed first; afterwards
    /// `Closed`.
    ///
    /// # Errors
    ///
    /// `Transport` if the broker refuses it for good, such as a body over its limit; `Closed` after
    /// [`close`](Self::close).
    fn publish(&self, message: Envelope, done: Resolver<Confirm>);

    /// Puts a message into one queue, by the queue's name; the queue is declared if it must be.
    /// Otherwise, in order, cancellation and closing too, as [`publish`](Self::publish), with which it
    /// shares its order.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    fn enqueue(&self, queue: &Queue, message: Envelope, done: Resolver<Confirm>);

    /// Gives what is in `queue` to `sink`, at most `prefetch` unsettled at a time; resolved once the
    /// broker has accepted the consumer. Consumers of one queue compete, also of several processes.
    ///
    /// **Order**: as in the queue, for what is delivered for the first time. It goes on after a
    /// reconnect, and if the queue is deleted at the broker, it is declared again. **Cancellation**: the
    /// consumer ends when its [`Subscription`] is dropped, also one that nobody waited for; what it has
    /// delivered can still be settled. **Closing**: it ends, and what is with its sink is waited for.
    ///
    /// # Errors
    ///
    /// `Transport`, if the broker refuses it.
    fn consume(&self, queue: &Queue, prefetch: u16, sink: Sink, done: Resolver<Subscription>);

    /// Serves a command: calls go to `sink`, which settles each with [`Settlement::Reply`]. Several
    /// processes that serve one command compete. A call whose server dies is answered by
    /// [`CallError::Interrupted`], and never delivered again; one that did not start there is another's
    /// by [`Settlement::PassOn`].
    ///
    /// **Order**: that in which calls reach the broker. **Cancellation** and **closing**: as for
    /// [`consume`](Self::consume).
    ///
    /// # Errors
    ///
    /// As [`consume`](Self::consume).
    fn serve(&self, command: &str, prefetch: u16, sink: Sink, done: Resolver<Subscription>);

    /// Calls a command, and resolves with its answer. `timeout` is how long the answer is of any use;
    /// a call that has not reached a server by then never will.
    ///
    /// **Order**: calls of one thread reach the broker in the order of the calls; answers come in any.
    /// **Cancellation**: none; whoever no longer waits drops what is resolved. **Closing**: one that waits
    /// for its answer is answered by [`CallError::Interrupted`], one that was not sent by
    /// [`CallError::Unsent`].
    ///
    /// # Errors
    ///
    /// Why there is no answer: see [`CallError`].
    fn call(
        &self,
        command: &str,
        message: Envelope,
        timeout: Duration,
        done: Resolver<Envelope, CallError>,
    );

    /// The dead letters of a queue, oldest first. They stay where they are.
    ///
    /// **Order**: between this, [`replay`](Self::replay) and [`discard`](Self::discard) of one
    /// connection, that of the calls. **Closing**: one that is under way is answered; afterwards `Closed`.
    ///
    /// # Errors
    ///
    /// `Transport`, if the broker cannot be asked.
    fn dead_letters(&self, queue: &Queue, done: Resolver<Vec<Dead>>);

    /// Puts the dead letter of the message `id` back into its queue, as its first attempt; `false` if
    /// there is none. It is gone from the dead letters only once the broker has confirmed its copy.
    ///
    /// **Order** and **closing**: as for [`dead_letters`](Self::dead_letters).
    ///
    /// # Errors
    ///
    /// As [`dead_letters`](Self::dead_letters).
    fn replay(&self, queue: &Queue, id: &str, done: Resolver<bool>);

    /// Drops the dead letter of the message `id`; `false` if there is none.
    ///
    /// **Order** and **closing**: as for [`dead_letters`](Self::dead_letters).
    ///
    /// # Errors
    ///
    /// As [`dead_letters`](Self::dead_letters).
    fn discard(&self, queue: &Queue, id: &str, done: Resolver<bool>);

    /// What waits in a queue, and how many consume it: a look at something that moves, in no order with
    /// anything else. **Closing**: one that is under way is answered; afterwards `Closed`.
    ///
    /// # Errors
    ///
    /// As [`dead_letters`](Self::dead_letters).
    fn depth(&self, queue: &Queue, done: Resolver<Depth>);

    /// Whether it is connected, and if not, why and since when; answered at once, also after closing.
    fn status(&self) -> Status;

    /// Takes no more requests, waits until everything published is confirmed and everything settled
    /// is done, and disconnects; at `deadline` whatever is left. Requests that are left are answered;
    /// what is left unsettled goes back to its queue. Closing again is harmless, also meanwhile.
    ///
    /// **Order**: what was asked before is done before. **Cancellation**: none.
    ///
    /// # Errors
    ///
    /// `Timeout`, if something was left: says how much of what.
    fn close(&self, deadline: Instant, done: Resolver<()>);
}

/// What a transport can do beyond what every one must; the conformance suite asks for no more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Programs that know nothing of this bus publish and consume as well.
    pub foreign: bool,
    /// What is given back keeps its place in its queue.
    pub gives_back_in_place: bool,
}

impl Capabilities {
    /// Nothing more.
    pub const NONE: Self = Self { foreign: false, gives_back_in_place: false };

    /// Programs that know nothing of this bus publish and consume as well.
    #[must_use]
    pub const fn with_foreign(self) -> Self {
        Self { foreign: true, ..self }
    }

    /// What is given back keeps its place in its queue.
    #[must_use]
    pub const fn with_giving_back_in_place(self) -> Self {
        Self { gives_back_in_place: true, ..self }
    }
}

/// That a broker has a message safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirm {
    /// Whether any queue matched.
    pub routed: bool,
}

impl Confirm {
    /// With whether any queue matched.
    pub fn new(routed: bool) -> Self {
        Self { routed }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// Nobody serves the command. It did not run.
    Unserved,
    /// It was not sent; says why. It did not run.
    Unsent(String),
    /// It was sent, and the way back was lost. It may have run.
    Interrupted,
}

impl Abandoned for CallError {
    fn abandoned() -> Self {
        Self::Interrupted
    }
}

/// A dead letter at a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dead {
    /// The message; its [`attempt`](Envelope::attempt) is the number of attempts that it had.
    pub message: Envelope,
    /// Why it died.
    pub reason: Failure,
    /// When.
    pub time: std::time::SystemTime,
}

impl Dead {
    /// A message that died.
    pub fn new(message: Envelope, reason: Failure, time: std::time::SystemTime) -> Self {
        Self { message, reason, time }
    }
}

/// What waits in a queue, and how many consume it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Depth {
    /// Messages that are delivered to nobody yet.
    pub messages: u64,
    /// Consumers, of all processes.
    pub consumers: u64,
}

impl Depth {
    /// So many messages, and so many consumers.
    pub fn new(messages: u64, consumers: u64) -> Self {
        Self { messages, consumers }
    }
}

/// Whether a transport is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It is.
    Connected,
    /// It is, and the broker takes nothing for now; says why.
    Blocked(String),
    /// It is not, and tries; says since when and why.
    Disconnected {
        /// Since when.
        since: Instant,
        /// Why, without secrets.
        reason: String,
    },
    /// It was closed.
    Closed,
}

/// A consumer at a transport; dropping it ends it.
pub struct Subscription(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Subscription {
    /// Ended by calling `end`.
    pub fn new(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription(..)")
    }
}

/// How a transport connects.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// What the connection is called at the broker, for those who look at it there.
    pub name: String,
    /// How long connecting may take; 30 s by default.
    pub connect_timeout: Duration,
    /// The largest body that is sent or taken, in bytes; 16 MiB by default. What is larger and comes
    /// from elsewhere is a dead letter.
    pub body_limit: usize,
    /// The clock of the bus; waits before retries go by it, where the broker does not do them.
    pub clock: Clock,
}

impl Options {
    /// The defaults.
    pub fn new(name: impl Into<String>, clock: Clock) -> Self {
        let (connect_timeout, body_limit) = (Duration::from_secs(30), 16 << 20);
        Self { name: name.into(), connect_timeout, body_limit, clock }
    }
}

/// How the transport of a URL scheme is made; registered with `inventory::submit!`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connector {
    /// The schemes, such as `amqp` and `amqps`.
    pub schemes: &'static [&'static str],
    /// Connects to the broker at a URL, and blocks until it is connected.
    ///
    /// # Errors
    ///
    /// `Config` for a URL that is none; `Transport`, with the source, if there is no connection
    /// within [`connect_timeout`](Options::connect_timeout). No error shows a password.
    pub connect: fn(url: &str, options: &Options) -> Result<Arc<dyn Transport>>,
}

impl Connector {
    /// For these schemes.
    pub const fn new(
        schemes: &'static [&'static str],
        connect: fn(&str, &Options) -> Result<Arc<dyn Transport>>,
    ) -> Self {
        Self { schemes, connect }
    }

    /// The one for a scheme.
    pub(crate) fn of(scheme: &str) -> Option<&'static Self> {
        inventory::iter::<Self>.into_iter().find(|known| known.schemes.contains(&scheme))
    }

    /// Every scheme that is compiled in, sorted.
    pub(crate) fn schemes() -> Vec<&'static str> {
        let all = inventory::iter::<Self>.into_iter();
        let mut schemes: Vec<&str> = all.flat_map(|known| known.schemes).copied().collect();
        schemes.sort_unstable();
        schemes
    }
}

inventory::collect!(Connector);
