//! What a bus counts, and whether it is well.
//!
//! What waits is counted when somebody asks, by a look at all that waits: nothing that is sent pays
//! for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::binding::Binding;
use crate::bus::Bus;
use crate::handler::Access;
use crate::remote::{Outbox, Remote};
use crate::table::Phase;

/// What a bus has counted since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Events that were fired.
    pub fired: u64,
    /// Events that nobody listened to; over a broker see [`TransportStats::unrouted`].
    pub unrouted: u64,
    /// Deliveries that wait for their next attempt.
    pub retrying: usize,
    /// Deliveries among the dead letters.
    pub dead_letters: usize,
    /// Each service, sorted by name.
    pub services: Vec<ServiceStats>,
    /// Each command and listener, sorted by name.
    pub handlers: Vec<HandlerStats>,
    /// What was given to the transport; nothing in memory.
    pub transport: Option<TransportStats>,
}

/// What a bus has given to its transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportStats {
    /// Events and tasks that were given to it.
    pub published: u64,
    /// Those that the broker has confirmed.
    pub confirmed: u64,
    /// Confirmed ones that no queue matched.
    pub unrouted: u64,
    /// Those that failed for good.
    pub failed: u64,
    /// Those that are not confirmed yet.
    pub unconfirmed: usize,
}

impl TransportStats {
    fn of(outbox: &Outbox) -> Self {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            published: count(&outbox.published),
            confirmed: count(&outbox.confirmed),
            unrouted: count(&outbox.unrouted),
            failed: count(&outbox.failed),
            unconfirmed: outbox.open(),
        }
    }
}

/// What a bus has counted for one service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceStats {
    /// Its name.
    pub name: String,
    /// Deliveries in its mailbox that have not started.
    pub waiting: usize,
    /// Deliveries that were accepted and are not done, running ones included.
    pub open: u64,
    /// Deliveries that were accepted while the mailbox was over its bound.
    pub over_bound: u64,
}

/// What a bus has counted for one command or listener.
///
/// # Examples
///
/// How many further processes would work off what waits, if each may have so much in line:
///
/// ```
/// # use autobus_core as bus;
/// fn wanted(handler: &bus::HandlerStats, in_line: u64) -> u64 {
///     handler.waiting.div_ceil(in_line).saturating_sub(handler.consumers)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerStats {
    /// Its name.
    pub name: String,
    /// Deliveries that wait for it and have not started; not those that wait for a further attempt.
    /// With a broker, those that wait there and those that wait here.
    pub waiting: u64,
    /// Who takes them: each process that runs the handler is one. In one process it is 1.
    pub consumers: u64,
    /// How many run at once here: 1 if it is synchronous or has its state for itself, else its
    /// `concurrency`. Nothing for a command that has no limit, whose tasks have 1, and for a handler
    /// that other processes run.
    pub concurrency: Option<usize>,
    /// Attempts that succeeded.
    pub handled: u64,
    /// Attempts that failed, panics included.
    pub failed: u64,
    /// Attempts that panicked.
    pub panicked: u64,
    /// Failed attempts that were followed by another.
    pub retried: u64,
    /// Deliveries that were given up.
    pub dead: u64,
}

impl HandlerStats {
    /// What this process knows.
    fn of(binding: &Binding, direct: u64, waiting: u64, default: Option<usize>) -> Self {
        let counts = &binding.counts;
        let alone = !binding.code.is_async() || binding.access == Access::Exclusive;
        Self {
            name: binding.name.to_string(),
            waiting,
            consumers: 1,
            concurrency: if alone { Some(1) } else { binding.policy.concurrency.or(default) },
            handled: counts.handled.load(Ordering::Relaxed) + direct,
            failed: counts.failed.load(Ordering::Relaxed),
            panicked: counts.panicked.load(Ordering::Relaxed),
            retried: counts.retried.load(Ordering::Relaxed),
            dead: counts.dead.load(Ordering::Relaxed),
        }
    }

    /// One that other processes run.
    fn elsewhere(name: String) -> Self {
        Self {
            name,
            waiting: 0,
            consumers: 0,
            concurrency: None,
            handled: 0,
            failed: 0,
            panicked: 0,
            retried: 0,
            dead: 0,
        }
    }
}

/// Whether a bus is well.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The process need not be restarted.
    pub live: bool,
    /// It takes work.
    pub ready: bool,
    /// Why it is not ready, or soon may not be.
    pub reasons: Vec<String>,
}

impl Bus {
    /// What the bus has counted since it started.
    ///
    /// With a broker, `handlers` has also those that other processes run, and the broker is asked what
    /// waits and who takes it: that may take a second, and blocks the thread. What is not answered by
    /// then is left at what this process knows.
    ///
    /// # Examples
    ///
    /// ```
    /// # use autobus_core as bus;
    /// let bus = bus::Builder::new().register_listener("tick", |_: u32| {}).build()?;
    /// bus.fire_event("tick", 1).handled().wait()?;
    /// let stats = bus.stats();
    /// assert_eq!((stats.fired, stats.unrouted, stats.dead_letters), (1, 0, 0));
    /// assert_eq!(stats.handlers[0].handled, 1);
    /// bus.shutdown()?;
    /// # Ok::<(), bus::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        let table = self.table();
        let mut services: Vec<ServiceStats> = table
            .services
            .iter()
            .map(|service| ServiceStats {
                name: service.name.to_string(),
                waiting: service.mailbox.depth(),
                open: service.mailbox.open(),
                over_bound: service.mailbox.overruns.load(Ordering::Relaxed),
            })
            .collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        drop(table);
        let (mut handlers, fired) = self.handlers_here();
        if let Some(remote) = &self.0.remote {
            for (name, depth) in remote.depths(self.catalog()) {
                let index = handlers.iter().position(|handler| handler.name == name);
                let index = index.unwrap_or_else(|| {
                    handlers.push(HandlerStats::elsewhere(name));
                    handlers.len() - 1
                });
                handlers[index].waiting += depth.messages;
                handlers[index].consumers = depth.consumers;
            }
        }
        handlers.sort_by(|a, b| a.name.cmp(&b.name));
        Stats {
            fired,
            unrouted: self.0.unrouted.load(Ordering::Relaxed),
            retrying: self.retrying(),
            dead_letters: self.graves().len(),
            services,
            handlers,
            transport: self.0.remote.as_ref().map(|remote| TransportStats::of(&remote.outbox)),
        }
    }

    fn handlers_here(&self) -> (Vec<HandlerStats>, u64) {
        let table = self.table();
        let mut waiting: HashMap<usize, u64> = HashMap::new();
        for service in &table.services {
            // Counted afterwards: those who fire wait meanwhile.
            let mut addresses = Vec::new();
            service.each_waiting(|binding| addresses.push(address(binding)));
            for address in addresses {
                *waiting.entry(address).or_default() += 1;
            }
        }
        self.0.lanes.counted(|direct| {
            let of = |binding: Arc<Binding>, default| {
                let waiting = waiting.get(&address(&binding)).copied().unwrap_or(0);
                HandlerStats::of(&binding, direct(Some(&binding)), waiting, default)
            };
            let commands = table.commands().map(|command| of(command.binding.clone(), None));
            let listeners = table.listeners().map(|listener| of(listener, Some(1)));
            let handlers = commands.chain(listeners).collect();
            (handlers, self.0.fired.load(Ordering::Relaxed) + direct(None))
        })
    }

    /// Whether the bus is well: what a probe of an orchestrator asks.
    pub fn health(&self) -> Health {
        let table = self.table();
        let mut reasons = Vec::new();
        match table.phase {
            Phase::Open if self.0.gate.is_open() => {}
            Phase::Open => reasons.push("the bus is starting".to_owned()),
            Phase::Draining => reasons.push("the bus is stopping".to_owned()),
            Phase::Closed => reasons.push("the bus has stopped".to_owned()),
        }
        reasons.extend(self.0.remote.as_ref().and_then(Remote::trouble));
        let ready = reasons.is_empty();
        for service in &table.services {
            if service.mailbox.depth() > service.mailbox.bound {
                reasons
                    .push(format!("the mailbox of service `{}` is over its bound", service.name));
            }
        }
        Health { live: !self.is_aborting(), ready, reasons }
    }
}

fn address(binding: &Arc<Binding>) -> usize {
    Arc::as_ptr(binding).addr()
}
