//! A bus over a transport: what it sends, what it receives, and how both end.
//!
//! With a broker every event that is not local travels through it, also to listeners of the same
//! process; commands that this process does not serve are called there, and tasks wait there. What
//! arrives is a message like any other from here on; only its settling goes back to the transport.

pub(crate) mod answer;
mod arrival;
mod call;
mod cancel;
mod consume;
mod depths;
mod outbox;
mod receive;
mod send;
mod topology;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

pub(crate) use self::arrival::Arrival;
use self::cancel::Cancels;
pub(crate) use self::consume::{Consumer, Source};
pub(crate) use self::outbox::{Outbox, Sent};
pub(crate) use self::topology::{Declares, bindings, plan, queue};
use crate::clock::{Clock, later};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{
    Completion, Connector, Options, Queue, Resolver, Status, Subscription, Topology, Transport,
};

/// The bus's side of its transport.
pub(crate) struct Remote {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) outbox: Arc<Outbox>,
    /// Those of the program; closures have their own.
    subscriptions: Mutex<Vec<Subscription>>,
    lent: Mutex<Vec<Weak<Lent>>>,
    /// What is to be consumed once the bus is open.
    planned: Mutex<Vec<Consumer>>,
    /// The durable queues that this process knows.
    queues: Mutex<Vec<Queue>>,
    cancels: Arc<Cancels>,
    /// New deliveries are handed back.
    leaving: AtomicBool,
    /// What the program is called.
    program: String,
    limits: Limits,
}

/// How long things may take.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Connecting, and each request that changes or asks the broker.
    pub(crate) connect: Duration,
    /// How long who waits for a receipt waits for the confirm.
    pub(crate) confirm: Duration,
    /// The largest body, in bytes.
    pub(crate) body: usize,
    /// Deliveries that are sent ahead to a listener that says nothing else.
    pub(crate) prefetch: u16,
}

impl Default for Limits {
    fn default() -> Self {
        let half_a_minute = Duration::from_secs(30);
        Self { connect: half_a_minute, confirm: half_a_minute, body: 16 << 20, prefetch: 256 }
    }
}

/// The subscriptions of one closure.
pub(crate) struct Lent(Mutex<Vec<Subscription>>);

impl Lent {
    pub(crate) fn take(&self) -> Vec<Subscription> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Remote {
    /// Connects to the broker at `url`, and blocks until it is connected.
    pub(crate) fn connect(url: &str, limits: &Limits, clock: &Clock) -> Result<Self> {
        let scheme = url.split(':').next().unwrap_or_default();
        let connector = Connector::of(scheme).ok_or_else(|| {
            Error::new(ErrorKind::Transport, format!("the transport `{scheme}` is not compiled in"))
        })?;
        let program = program();
        let mut options = Options::new(program.as_str(), clock.clone());
        options.connect_timeout = limits.connect;
        options.body_limit = limits.body;
        Ok(Self {
            transport: (connector.connect)(url, &options)?,
            outbox: Arc::default(),
            subscriptions: Mutex::default(),
            lent: Mutex::default(),
            planned: Mutex::default(),
            queues: Mutex::default(),
            cancels: Arc::default(),
            leaving: AtomicBool::new(false),
            program,
            limits: limits.clone(),
        })
    }

    /// Makes a request, and blocks for its answer.
    ///
    /// # Errors
    ///
    /// Those of the request; `Timeout` after as long as connecting may take.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        what: &str,
        request: impl FnOnce(Resolver<T>),
    ) -> Result<T> {
        let (resolver, completion) = Resolver::pair();
        request(resolver);
        self.wait(what, completion)
    }

    fn wait<T>(&self, what: &str, completion: Completion<T>) -> Result<T> {
        let limit = self.limits.connect;
        let deadline = later(Instant::now(), limit);
        match wait_for(completion, deadline)? {
            Some(answer) => Ok(answer),
            None => Err(Error::new(
                ErrorKind::Timeout,
                format!("the broker did not answer within {limit:?}: {what}{}", self.why()),
            )),
        }
    }

    /// What keeps the transport from answering, as the end of a sentence.
    fn why(&self) -> String {
        match self.transport.status() {
            Status::Disconnected { reason, .. } => format!("; it is not connected: {reason}"),
            Status::Blocked(reason) => format!("; it takes nothing: {reason}"),
            Status::Connected | Status::Closed => String::new(),
        }
    }

    /// Declares what the program consists of.
    pub(crate) fn declare(&self, topology: Topology) -> Result<()> {
        let cancels = topology.exchanges.iter().any(|exchange| exchange == cancel::EXCHANGE);
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&topology.queues);
        self.ask("exchanges and queues are to be declared", |done| {
            self.transport.declare(topology, done);
        })?;
        if cancels {
            self.cancels.declared();
        }
        Ok(())
    }

    /// The durable queues that this process knows.
    pub(crate) fn queues(&self) -> Vec<Queue> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether deliveries that have not started are handed back.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    fn cancels(&self) -> &Arc<Cancels> {
        &self.cancels
    }

    /// Takes no new deliveries; those that have not started are handed back.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        let subscriptions =
            std::mem::take(&mut *self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner));
        drop(subscriptions);
        let lent = std::mem::take(&mut *self.lent.lock().unwrap_or_else(PoisonError::into_inner));
        for lent in lent.iter().filter_map(Weak::upgrade) {
            drop(lent.take());
        }
    }

    /// Subscriptions of a closure, which end with it, or when the bus leaves.
    pub(crate) fn lend(&self, subscriptions: Vec<Subscription>) -> Arc<Lent> {
        let lent = Arc::new(Lent(Mutex::new(subscriptions)));
        let mut all = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|lent| lent.strong_count() > 0);
        all.push(Arc::downgrade(&lent));
        drop(all);
        if self.is_leaving() {
            drop(lent.take());
        }
        lent
    }

    /// Waits for confirms and settlements, and disconnects. Says what was lost on the way.
    pub(crate) fn close(&self, deadline: Instant) -> Result<()> {
        let confirmed = self.outbox.wait_empty(deadline);
        let (resolver, completion) = Resolver::pair();
        self.transport.close(deadline, resolver);
        // It answers by the deadline, and then needs a moment to say so.
        let closed = wait_for(completion, later(deadline, Duration::from_secs(5)));
        // A closed transport answers whatever is left; that takes no more than a moment.
        self.outbox.wait_empty(later(Instant::now(), Duration::from_secs(1)));
        let (lost, names) = self.outbox.lost();
        if lost > 0 {
            let more = if lost > names.len() as u64 { ", and others" } else { "" };
            let text = format!(
                "{lost} messages were not published, and nobody read why: {}{more}",
                names.join(", ")
            );
            return Err(Error::new(ErrorKind::Transport, text));
        }
        match closed {
            Ok(Some(())) if confirmed => Ok(()),
            Ok(_) => {
                let open = self.outbox.open();
                let text = format!("the transport was not done in time; {open} unconfirmed");
                Err(Error::new(ErrorKind::Timeout, text))
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a subscription for as long as the bus is open.
    pub(crate) fn keep(&self, subscriptions: impl IntoIterator<Item = Subscription>) {
        let mut kept = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(subscriptions);
    }

    /// Why it is not ready, if it is not.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self.transport.status() {
            Status::Connected => None,
            Status::Blocked(reason) => Some(format!("the broker takes nothing: {reason}")),
            Status::Disconnected { since, reason } => {
                let since = since.elapsed().as_secs();
                Some(format!("the broker is not connected since {since} s: {reason}"))
            }
            Status::Closed => Some("the transport is closed".to_owned()),
        }
    }
}

/// Blocks for an answer of a transport; inside of a handler its service goes on meanwhile.
fn wait_for<T>(mut completion: Completion<T>, deadline: Instant) -> Result<Option<T>> {
    let poll = |cx: &mut std::task::Context<'_>| {
        std::future::Future::poll(std::pin::Pin::new(&mut completion), cx)
    };
    let answer = crate::wait::block(Some(deadline), Vec::new, poll).map_err(|_| {
        let text = "too many handlers wait on their threads already; await instead";
        Error::new(ErrorKind::Exhausted, text)
    })?;
    answer.transpose()
}

/// What this program is called.
fn program() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_deref().and_then(|path| path.file_stem()).and_then(|name| name.to_str());
    name.unwrap_or("autobus").to_owned()
}
