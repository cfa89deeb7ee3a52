//! What a process consumes: the queues of its listeners, the calls and tasks of its commands.

use std::sync::{Arc, PoisonError};

use super::{Remote, receive};
use crate::binding::Binding;
use crate::bus::Bus;
use crate::error::Result;
use crate::router::Route;
use crate::table::Command;
use crate::transport::{Queue, QueueKind, Resolver, Sink, Subscription};

/// Something that this process consumes.
pub(crate) struct Consumer {
    pub(crate) source: Source,
    /// Deliveries that are sent ahead; the default, if nothing is said.
    pub(crate) prefetch: Option<u16>,
}

/// What is consumed, and for whom.
pub(crate) enum Source {
    /// Events, for a listener.
    Listener(Queue, Arc<Binding>),
    /// Calls and tasks.
    Command(Arc<Command>),
}

impl Bus {
    /// Consumes everything that the program says, once the bus is open.
    pub(crate) fn start_consumers(&self) -> Result<()> {
        let Some(remote) = &self.0.remote else { return Ok(()) };
        let planned =
            std::mem::take(&mut *remote.planned.lock().unwrap_or_else(PoisonError::into_inner));
        let subscriptions = self.consume(planned)?;
        remote.keep(subscriptions);
        Ok(())
    }

    /// Starts consumers, all at once, and waits until the broker has accepted them.
    pub(crate) fn consume(&self, consumers: Vec<Consumer>) -> Result<Vec<Subscription>> {
        let Some(remote) = &self.0.remote else { return Ok(Vec::new()) };
        let mut open = Vec::new();
        if consumers.iter().any(|consumer| matches!(consumer.source, Source::Command(_))) {
            let hears = remote.ask("cancellations are to be heard of", |done| {
                remote.hear_cancels(self, done);
            });
            // For as long as the bus is open: whatever serves the command may end before.
            remote.keep([hears?]);
        }
        for Consumer { source, prefetch } in consumers {
            match source {
                Source::Listener(mut queue, binding) => {
                    if queue.kind == QueueKind::Broadcast {
                        // Each process has its own.
                        queue.name = format!("{}.{:016x}", queue.name, self.prefix());
                    }
                    let prefetch = prefetch.unwrap_or(remote.limits.prefetch);
                    let what = format!("the queue `{}` is to be consumed", queue.name);
                    let sink = self.listener_sink(&queue, binding);
                    let (resolver, completion) = Resolver::pair();
                    remote.transport.consume(&queue, prefetch, sink, resolver);
                    open.push((what, completion));
                }
                Source::Command(command) => {
                    let name = command.name.clone();
                    let what = format!("the command `{name}` is to be served");
                    let (resolver, completion) = Resolver::pair();
                    let calls = prefetch.unwrap_or(remote.limits.prefetch);
                    let sink = self.call_sink(command.clone());
                    remote.transport.serve(&name, calls, sink, resolver);
                    open.push((what.clone(), completion));
                    // A worker has no more tasks than it can run at once, so that others get theirs.
                    let tasks = command.binding.policy.concurrency.unwrap_or(1);
                    let tasks = u16::try_from(tasks).unwrap_or(u16::MAX);
                    let (resolver, completion) = Resolver::pair();
                    let sink = self.task_sink(command);
                    remote.transport.consume(&Queue::task(&name), tasks, sink, resolver);
                    open.push((what, completion));
                }
            }
        }
        open.into_iter().map(|(what, completion)| remote.wait(&what, completion)).collect()
    }

    fn listener_sink(&self, queue: &Queue, binding: Arc<Binding>) -> Sink {
        let bus = Arc::downgrade(&self.0);
        let route = Arc::new(Route::new(vec![binding.clone()]));
        let keeping = match queue.kind {
            QueueKind::Broadcast => super::arrival::Keeping::Here,
            QueueKind::Listener | QueueKind::Task => super::arrival::Keeping::There,
        };
        Arc::new(move |incoming| {
            if let Some(shared) = bus.upgrade() {
                receive::event(&Bus(shared), &binding, &route, keeping, incoming);
            }
        })
    }

    fn call_sink(&self, command: Arc<Command>) -> Sink {
        let bus = Arc::downgrade(&self.0);
        Arc::new(move |incoming| {
            if let Some(shared) = bus.upgrade() {
                receive::call(&Bus(shared), &command, incoming);
            }
        })
    }

    fn task_sink(&self, command: Arc<Command>) -> Sink {
        let bus = Arc::downgrade(&self.0);
        Arc::new(move |incoming| {
            if let Some(shared) = bus.upgrade() {
                receive::task(&Bus(shared), &command, incoming);
            }
        })
    }
}

impl Remote {
    /// What is to be consumed once the bus is open.
    pub(crate) fn plan(&self, consumers: impl IntoIterator<Item = Consumer>) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).extend(consumers);
    }
}
