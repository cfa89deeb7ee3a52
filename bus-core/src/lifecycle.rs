//! Starting and stopping a bus.
//!
//! Starting: mailboxes accept, then every state is made on its thread, then the gate opens and
//! handlers run; one failure stops all. Stopping: new work is refused, accepted work is finished,
//! threads are joined, within a deadline. Handlers that still run when most of that time is over are
//! asked to stop.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, mpsc};
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener, Listener as _};

use crate::bus::Bus;
use crate::clock::later;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Started, Stopping};
use crate::name;
use crate::service::{Entry, Service, spawn};
use crate::table::Phase;

/// Holds the services back until every state is made.
#[derive(Default)]
pub(crate) struct Gate {
    state: AtomicU8,
    changed: Event,
}

const OPEN: u8 = 1;
const FAILED: u8 = 2;

impl Gate {
    fn set(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        self.changed.notify(usize::MAX);
    }

    /// Whether services run.
    pub(crate) fn is_open(&self) -> bool {
        self.state.load(Ordering::Acquire) == OPEN
    }

    /// Waits until the bus is open, or has failed to start.
    pub(crate) async fn passed(&self) -> bool {
        loop {
            let changed = self.changed.listen();
            match self.state.load(Ordering::Acquire) {
                OPEN => return true,
                FAILED => return false,
                _ => changed.await,
            }
        }
    }
}

/// How much of a shutdown's limit has passed when handlers are asked to stop. Before, what was accepted
/// is to be finished; the rest is for those who stop.
const LATE: (u32, u32) = (4, 5);

/// Starts the threads of all services and opens the gate.
pub(crate) fn start(bus: &Bus) -> Result<()> {
    let services = bus.table().services.clone();
    let (ready, reports) = mpsc::channel();
    let mut started = 0;
    let mut failure = None;
    for service in &services {
        match spawn(bus, service, ready.clone()) {
            Ok(()) => started += 1,
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    drop(ready);
    for report in reports.iter().take(started) {
        failure = failure.or(report.err());
        if failure.is_some() {
            break;
        }
    }
    if failure.is_none() {
        // Held, so that a service which is made from here on starts by itself.
        let _dynamic = bus.0.dynamic.lock().unwrap_or_else(PoisonError::into_inner);
        let late = bus.table().services.get(services.len()..).map(<[_]>::to_vec);
        failure = late.into_iter().flatten().find_map(|service| start_one(bus, &service).err());
        if failure.is_none() {
            bus.0.gate.set(OPEN);
        }
    }
    let Some(failure) = failure else { return Ok(()) };
    bus.table_mut().phase = Phase::Closed;
    bus.0.gate.set(FAILED);
    let deadline = later(Instant::now(), bus.0.defaults.shutdown);
    let stuck = join(bus, &services[..started], deadline);
    for name in stuck {
        tracing::error!(service = name, "a service did not stop after a failed start");
    }
    if let Some(Err(error)) = bus.0.remote.as_ref().map(|remote| remote.close(deadline)) {
        tracing::error!(%error, "the transport did not close after a failed start");
    }
    Err(failure)
}

/// Tells whoever listens that the bus is open.
pub(crate) fn announce_start(bus: &Bus) {
    bus.announce(|| {
        let table = bus.table();
        let mut services: Vec<String> =
            table.services.iter().map(|service| service.name.to_string()).collect();
        services.sort_unstable();
        (Started { services }, ())
    });
}

/// Starts one more service on an open bus.
pub(crate) fn start_one(bus: &Bus, service: &Arc<Service>) -> Result<()> {
    let (ready, _) = mpsc::channel();
    spawn(bus, service, ready)
}

/// Stops a bus.
pub(crate) fn shutdown(bus: &Bus, limit: Duration) -> Result<()> {
    if crate::current::is_inside(bus) {
        let text = "a handler cannot wait for its own bus to stop; let another thread shut it down";
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    // The second of two shutdowns waits for the first and finds nothing left to do.
    let _stopping = bus.0.stopping.lock().unwrap_or_else(PoisonError::into_inner);
    if bus.table().phase == Phase::Closed {
        return Ok(());
    }
    tracing::info!("the bus is stopping");
    bus.announce(|| (Stopping {}, ()));
    let services = {
        let mut table = bus.table_mut();
        table.phase = Phase::Draining;
        table.services.clone()
    };
    // Whoever goes by a mailbox alone has put its message in, or finds that it has to ask.
    for service in &services {
        service.mailbox.await_pushes();
    }
    if let Some(remote) = &bus.0.remote {
        remote.leave();
    }
    // Not the bus's clock: a clock that stands still must not keep the process from ending.
    let begin = Instant::now();
    let (late, deadline) = (later(begin, limit / LATE.1 * LATE.0), later(begin, limit));
    let drained = drain(bus, late) || {
        bus.0.late.store(true, Ordering::Release);
        drain(bus, deadline)
    };
    let services = {
        let mut table = bus.table_mut();
        table.phase = Phase::Closed;
        table.services.clone()
    };
    let busy: Vec<(String, u64)> = services
        .iter()
        .filter(|service| !service.mailbox.is_idle())
        .map(|service| (service.name.to_string(), service.mailbox.open()))
        .collect();
    let inline = bus.0.inline.load(Ordering::Acquire);
    if !drained {
        bus.0.aborting.store(true, Ordering::Release);
    }
    for service in &services {
        service.mailbox.close();
        if !drained {
            // Whoever waits for it is told, and what nobody waits for is kept.
            service.take_waiting().into_iter().for_each(|entry| bus.refuse(service, entry));
        }
    }
    // Those that are not stuck need a moment to see that they are to stop.
    let grace = if drained { Duration::ZERO } else { Duration::from_secs(1) };
    let stuck = join(bus, &services, deadline.max(Instant::now() + grace));
    // What is not confirmed or settled by now gets a moment, even if the handlers took all the time.
    let closed = bus.0.remote.as_ref().map_or(Ok(()), |remote| {
        remote.close(deadline.max(Instant::now() + Duration::from_secs(1)))
    });
    bus.clock().retire();
    if drained && stuck.is_empty() {
        return match closed {
            Ok(()) => {
                tracing::info!("the bus has stopped");
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the bus has stopped, and its transport not cleanly");
                Err(error)
            }
        };
    }
    let mut text = format!("the bus did not stop within {limit:?}");
    if let Err(error) = closed {
        let _ = write!(text, "; {error}");
    }
    if !busy.is_empty() {
        let busy: Vec<String> =
            busy.iter().map(|(name, open)| format!("`{name}` ({open} deliveries)")).collect();
        let _ = write!(text, "; not done: {}", busy.join(", "));
    }
    if inline > 0 {
        let _ = write!(text, "; on the threads of callers: {inline} inline handlers");
    }
    if !stuck.is_empty() {
        let _ = write!(text, "; stuck and left behind: {}", name::list(&stuck));
    }
    tracing::error!("{text}");
    Err(Error::new(ErrorKind::Timeout, text))
}

/// Waits until everything that was accepted is done; `false` if it is not by `deadline`.
fn drain(bus: &Bus, deadline: Instant) -> bool {
    loop {
        bus.retry_all_now();
        let idle = match &bus.0.testing {
            Some(testing) => testing.drain(bus, deadline),
            None => wait_idle(bus, Some(deadline)),
        };
        if !idle {
            return false;
        }
        // Nothing is sent while the table is held, so what is idle now stays idle.
        let mut table = bus.table_mut();
        // First those that wait for an attempt: from there they go to a mailbox in one step.
        let none_waits = bus.retrying() == 0 && !bus.runs_inline();
        if none_waits && table.services.iter().all(|service| service.mailbox.is_idle()) {
            table.phase = Phase::Closed;
            return true;
        }
    }
}

/// Whether every mailbox is empty and no handler runs.
pub(crate) fn is_idle(bus: &Bus) -> bool {
    let all_idle = bus.table().services.iter().all(|service| service.mailbox.is_idle());
    all_idle && !bus.runs_inline()
}

/// Blocks until every mailbox is empty and no handler runs; `false` if that is not by `deadline`.
pub(crate) fn wait_idle(bus: &Bus, deadline: Option<Instant>) -> bool {
    let no_inline = || !bus.runs_inline();
    loop {
        let services = bus.table().services.clone();
        let accepted = || services.iter().map(|service| service.mailbox.accepted()).sum::<u64>();
        let before = accepted();
        for Service { mailbox, .. } in services.iter().map(Arc::as_ref) {
            if !wait_until(|| mailbox.is_idle(), || mailbox.listen_idle(), deadline) {
                return false;
            }
        }
        if !wait_inline(bus, deadline) {
            return false;
        }
        // What was idle when it was looked at may have received something since.
        let idle = services.iter().all(|service| service.mailbox.is_idle());
        if idle && no_inline() && before == accepted() {
            return true;
        }
    }
}

/// Blocks until no inline handler runs; `false` if that is not by `deadline`. It looks again every
/// now and then, so that those who run inline listeners pay nothing for being waited for.
fn wait_inline(bus: &Bus, deadline: Option<Instant>) -> bool {
    const AGAIN: Duration = Duration::from_millis(1);
    while bus.runs_inline() {
        let done = bus.0.inline_done.listen();
        if !bus.runs_inline() {
            break;
        }
        let again = later(Instant::now(), AGAIN);
        let until = deadline.map_or(again, |deadline| deadline.min(again));
        if done.wait_deadline(until).is_none() && deadline.is_some_and(|d| d <= Instant::now()) {
            return false;
        }
    }
    true
}

/// Blocks until `reached`, which `listen` tells of; `false` if it is not by `deadline`.
fn wait_until(
    reached: impl Fn() -> bool,
    listen: impl Fn() -> EventListener,
    deadline: Option<Instant>,
) -> bool {
    while !reached() {
        let listener = listen();
        if reached() {
            break;
        }
        match deadline {
            None => listener.wait(),
            Some(deadline) if listener.wait_deadline(deadline).is_some() => {}
            Some(_) => return false,
        }
    }
    true
}

/// Joins the threads; names those that are not at their end by `deadline`.
fn join(bus: &Bus, services: &[Arc<Service>], deadline: Instant) -> Vec<String> {
    let mut stuck = Vec::new();
    for service in services {
        if !service.wait_stopped(deadline) {
            for delivery in service.take_stuck() {
                bus.refuse(service, Entry::one(delivery));
            }
            stuck.push(service.name.to_string());
            continue;
        }
        if service.take_thread().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(service = &*service.name, "the thread of a service panicked");
        }
    }
    stuck
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::delivery::Delivery;

    #[test]
    fn a_shutdown_waits_for_whoever_is_just_putting_something_in() {
        let builder = crate::Builder::new();
        let bus = builder.register_listener("tick", |_: &Context| {}).build().expect("a bus");
        let bus: &Bus = &bus;
        let service = bus.table().services[0].clone();
        let binding = bus.route(name::DEFAULT_EXCHANGE, "tick").bindings().next().cloned();
        let message = Context::of_service(bus.clone(), service.clone()).message().clone();
        let entry = Entry::one(Delivery::first(binding.expect("a listener"), message));
        let epoch = bus.epoch();
        std::thread::scope(|scope| {
            let (looked, go_on) = (mpsc::channel(), mpsc::channel::<()>());
            let pushing = {
                let service = &service;
                scope.spawn(move || {
                    let push = service.mailbox.push(entry, 1, |_| {
                        let may = bus.epoch() == epoch;
                        looked.0.send(()).expect("the test goes on");
                        go_on.1.recv().expect("the test goes on");
                        may
                    });
                    assert!(push.is_ok(), "it has looked before");
                })
            };
            looked.1.recv().expect("it looks");
            let stopping = scope.spawn(|| shutdown(bus, Duration::from_secs(60)));
            while bus.table().phase == Phase::Open {
                std::thread::yield_now();
            }
            for _ in 0..10_000 {
                std::thread::yield_now();
                assert_ne!(bus.table().phase, Phase::Closed, "something is still put in");
            }
            go_on.0.send(()).expect("it waits");
            pushing.join().expect("no panic");
            stopping.join().expect("no panic").expect("all is done");
        });
        assert_eq!((service.mailbox.accepted(), service.mailbox.open()), (1, 0));
    }
}
