//! Who waits for whom, to answer at once where waiting would never end.
//!
//! A handler that waits for a command waits for that handler to run. If it has not started, it waits
//! for whoever holds the state of its service. A cycle always passes through such a holder. Only the
//! handlers of one process are seen; elsewhere a command's timeout ends the wait.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::execute_error::Cycle;
use crate::handler::Access;
use crate::message::MessageRef;
use crate::service::Service;

/// One running handler: the number of its message and its slot.
pub(crate) type Invocation = (u64, u32);

/// What a handler waits for.
#[derive(Clone)]
pub(crate) struct Target {
    /// The handler that is to run; nothing if any progress of the service will do.
    pub(crate) invocation: Option<Invocation>,
    /// What that handler was sent.
    pub(crate) message: Option<MessageRef>,
    pub(crate) service: Arc<Service>,
    pub(crate) access: Access,
}

impl Target {
    /// Whether the handler is done, although who waits for it may not have seen it yet.
    fn is_settled(&self) -> bool {
        let sent = self.invocation.zip(self.message.as_ref());
        sent.is_some_and(|((_, slot), message)| message.head().is_settled_at(slot))
    }
}

/// Everybody who waits on one bus.
#[derive(Default)]
pub(crate) struct Waits(Mutex<Graph>);

#[derive(Default)]
struct Graph {
    edges: HashMap<Invocation, Vec<(u64, Target)>>,
    next: u64,
}

impl Waits {
    fn lock(&self) -> MutexGuard<'_, Graph> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `me`, a handler of `service`, waits for `targets`, unless that would never end.
    /// `below` are the handlers under `me` on its thread's stack: they go on when `me` does.
    pub(crate) fn begin(
        &self,
        me: Invocation,
        service: &Arc<Service>,
        below: &[Invocation],
        targets: Vec<Target>,
    ) -> Result<Wait, Cycle> {
        let mut graph = self.lock();
        for target in &targets {
            let mut path = vec![service.name.to_string()];
            let stack: HashSet<Invocation> = below.iter().copied().chain([me]).collect();
            if graph.leads_to(target, &stack, &mut HashSet::new(), &mut path) {
                return Err(Cycle(path));
            }
        }
        graph.next += 1;
        let number = graph.next;
        graph.edges.entry(me).or_default().extend(targets.into_iter().map(|to| (number, to)));
        for outer in below {
            let target = Target {
                invocation: Some(me),
                message: None,
                service: service.clone(),
                access: Access::Stateless,
            };
            graph.edges.entry(*outer).or_default().push((number, target));
        }
        Ok(Wait { number, from: below.iter().copied().chain([me]).collect() })
    }

    /// Whether this handler waits.
    pub(crate) fn is_waiting(&self, invocation: Invocation) -> bool {
        self.lock().edges.contains_key(&invocation)
    }

    /// Takes a note back.
    pub(crate) fn end(&self, wait: &Wait) {
        let mut over = Vec::new();
        let mut graph = self.lock();
        for from in &wait.from {
            if let Some(targets) = graph.edges.get_mut(from) {
                over.extend(targets.extract_if(.., |(number, _)| *number == wait.number));
                if targets.is_empty() {
                    graph.edges.remove(from);
                }
            }
        }
        // A message may be dropped with them, which runs code of the user.
        drop(graph);
    }
}

/// The note that somebody waits.
#[derive(Debug)]
pub(crate) struct Wait {
    number: u64,
    from: Vec<Invocation>,
}

impl Graph {
    /// Whether waiting for `target` means waiting for one of `stack`.
    fn leads_to(
        &self,
        target: &Target,
        stack: &HashSet<Invocation>,
        seen: &mut HashSet<Invocation>,
        path: &mut Vec<String>,
    ) -> bool {
        path.push(target.service.name.to_string());
        let holders = target.service.holders();
        let running = match target.invocation {
            Some(invocation) if stack.contains(&invocation) => return true,
            Some(_) if target.is_settled() => vec![],
            Some(invocation) if self.edges.contains_key(&invocation) => vec![invocation],
            // It runs and waits for nobody.
            Some(invocation) if holders.iter().any(|(holder, _)| *holder == invocation) => vec![],
            _ => holders
                .iter()
                .filter(|(_, access)| excludes(*access, target.access))
                .map(|(holder, _)| *holder)
                .collect(),
        };
        for invocation in running {
            if stack.contains(&invocation) {
                return true;
            }
            if !seen.insert(invocation) {
                continue;
            }
            for (_, next) in self.edges.get(&invocation).into_iter().flatten() {
                if self.leads_to(next, stack, seen, path) {
                    return true;
                }
            }
        }
        path.pop();
        false
    }
}

fn excludes(holder: Access, other: Access) -> bool {
    holder == Access::Exclusive || other == Access::Exclusive
}
