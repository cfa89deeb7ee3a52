//! What waits at the broker for each handler, and who takes it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Remote, wait_for};
use crate::catalog::Catalog;
use crate::clock::later;
use crate::transport::{Depth, Queue, QueueKind, Resolver, Status};

/// How long a broker may take to tell.
const LIMIT: Duration = Duration::from_secs(1);

impl Remote {
    /// What the broker tells of the handlers of a program, by their names, within a second; also of
    /// those that other processes run. It is not asked while it is not connected, and what it does not
    /// know is missing.
    ///
    /// Of a command it is its tasks that wait there; calls wait in the processes that serve it.
    pub(crate) fn depths(&self, catalog: &Catalog) -> HashMap<String, Depth> {
        if self.transport.status() != Status::Connected {
            return HashMap::new();
        }
        let queues = self.queues().into_iter().filter(|queue| queue.kind == QueueKind::Listener);
        let listeners = queues.map(|queue| (queue.name.clone(), queue));
        let travelling = catalog.commands().iter().filter(|it| it.descriptor().wire.is_some());
        let commands = travelling.map(|command| {
            let name = command.name();
            (name.to_owned(), Queue::task(name))
        });
        let asked: Vec<_> = listeners
            .chain(commands)
            .map(|(name, queue)| {
                let (resolver, completion) = Resolver::pair();
                self.transport.depth(&queue, resolver);
                (name, completion)
            })
            .collect();
        let deadline = later(Instant::now(), LIMIT);
        let told = asked.into_iter().filter_map(|(name, completion)| {
            let depth = wait_for(completion, deadline).ok()??;
            Some((name, depth))
        });
        told.collect()
    }
}
