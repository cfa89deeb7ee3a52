//! What a bus wants to exist at a broker, as plain data: it is declared again after every reconnect.

/// The exchanges and queues of a program.
///
/// Every process declares those of all the listeners that are linked into it, also of services
/// that it does not run, so that nothing is lost that is fired before a service's first start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topology {
    /// Topic exchanges, durable, sorted by name.
    pub exchanges: Vec<String>,
    /// Queues with their bindings, sorted by name.
    pub queues: Vec<Queue>,
}

impl Topology {
    /// Of these queues, with every exchange that they or `exchanges` name.
    pub fn new(exchanges: impl IntoIterator<Item = String>, queues: Vec<Queue>) -> Self {
        let bound = queues.iter().flat_map(|queue| &queue.bindings);
        let bound = bound.map(|binding| binding.exchange.clone());
        let mut exchanges: Vec<String> = exchanges.into_iter().chain(bound).collect();
        exchanges.sort_unstable();
        exchanges.dedup();
        let mut queues = queues;
        queues.sort_by(|a, b| a.name.cmp(&b.name));
        Self { exchanges, queues }
    }
}

/// A queue, and what is routed to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Queue {
    /// Its name at the broker.
    pub name: String,
    /// Who consumes it, and how long it lives.
    pub kind: QueueKind,
    /// Messages of these exchanges and patterns go to it, each once however many of them match.
    pub bindings: Vec<Binding>,
}

impl Queue {
    /// The queue of a listener: shared by the replicas of its service.
    pub fn listener(name: impl Into<String>, bindings: Vec<Binding>) -> Self {
        Self { name: name.into(), kind: QueueKind::Listener, bindings }
    }

    /// The queue of the tasks of a command: `task.{command}`.
    pub fn task(command: &str) -> Self {
        Self { name: format!("task.{command}"), kind: QueueKind::Task, bindings: Vec::new() }
    }

    /// A queue of this connection alone, whose name no other connection uses.
    pub fn broadcast(name: impl Into<String>, bindings: Vec<Binding>) -> Self {
        Self { name: name.into(), kind: QueueKind::Broadcast, bindings }
    }
}

/// Who consumes a queue, and how long it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueKind {
    /// The replicas of a service; durable.
    Listener,
    /// Whoever serves a command; durable.
    Task,
    /// One connection; gone with its last consumer, and with what it holds: nothing of it is retried
    /// or kept.
    Broadcast,
}

/// What of an exchange goes to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Binding {
    /// The exchange.
    pub exchange: String,
    /// A pattern of AMQP 0-9-1 topic exchanges (section 3.1.3.3): words split by `.`, `*` is one
    /// word, `#` zero or more.
    pub pattern: String,
}

impl Binding {
    /// Of `exchange`, what `pattern` matches.
    pub fn new(exchange: impl Into<String>, pattern: impl Into<String>) -> Self {
        Self { exchange: exchange.into(), pattern: pattern.into() }
    }
}
