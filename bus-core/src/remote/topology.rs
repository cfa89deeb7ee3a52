//! What a program wants to exist at a broker: from the catalogue to a topology.

use super::cancel;
use crate::catalog::{Catalog, ListenerEntry};
use crate::name::DEFAULT_EXCHANGE;
use crate::transport::{Binding, Queue, QueueKind, Topology};

/// Whose queues a process declares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Declares {
    /// Those of every listener that is linked, so that nothing is lost before its first start.
    #[default]
    Linked,
    /// Those of the services that it runs.
    Own,
    /// None: somebody else declares them.
    Nothing,
}

impl Declares {
    /// What `BUS_TOPOLOGY` says.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "linked" => Some(Self::Linked),
            "own" => Some(Self::Own),
            "none" => Some(Self::Nothing),
            _ => None,
        }
    }
}

/// The exchanges and durable queues of a program.
pub(crate) fn plan(catalog: &Catalog, declares: Declares) -> Topology {
    if declares == Declares::Nothing {
        return Topology::default();
    }
    let is_own =
        |service: &str| catalog.services.get(service).is_some_and(|service| service.selected);
    let wanted = |service: &str| declares == Declares::Linked || is_own(service);
    let listeners = catalog
        .listeners
        .iter()
        .filter(|listener| wanted(&listener.service))
        .filter_map(|listener| queue(catalog, listener))
        // One of this process alone is declared by its consumer.
        .filter(|queue| queue.kind != QueueKind::Broadcast);
    // Who dispatches a task declares its queue too, when it does.
    let tasks = catalog
        .commands
        .iter()
        .filter(|command| command.descriptor().body.is_some() && is_own(&command.service))
        .filter(|command| command.descriptor().wire.is_some())
        .map(|command| Queue::task(&command.name));
    let travelling = catalog.events.iter().filter(|event| !event.local);
    let exchanges =
        travelling.map(|event| event.exchange).chain([DEFAULT_EXCHANGE, cancel::EXCHANGE]);
    Topology::new(exchanges.map(str::to_owned), listeners.chain(tasks).collect())
}

/// The queue of a listener; none for one that hears nothing that travels.
pub(crate) fn queue(catalog: &Catalog, listener: &ListenerEntry) -> Option<Queue> {
    let bindings = bindings(catalog, listener.bindings());
    if bindings.is_empty() {
        return None;
    }
    Some(if listener.descriptor.broadcast {
        Queue::broadcast(&listener.name, bindings)
    } else {
        Queue::listener(&listener.name, bindings)
    })
}

/// Those of `bindings` that something which travels may match: all but the exact keys of local events.
pub(crate) fn bindings<'a>(
    catalog: &Catalog,
    bindings: impl Iterator<Item = (&'a str, &'a str)>,
) -> Vec<Binding> {
    let is_local = |exchange: &str, pattern: &str| {
        let same = catalog.events_at(exchange, pattern).find(|event| event.key == pattern);
        same.is_some_and(|event| event.local)
    };
    bindings
        .filter(|(exchange, pattern)| !is_local(exchange, pattern))
        .map(|(exchange, pattern)| Binding::new(exchange, pattern))
        .collect()
}
