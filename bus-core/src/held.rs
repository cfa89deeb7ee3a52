//! Which services hold which back, so that none waits for itself.
//!
//! A handler that waits for a receipt is held back until a mailbox has space. If the owner of that
//! mailbox is held back in its turn, and at last by the handler's own service, both may wait for ever:
//! an asynchronous listener takes nothing more before its handler is done. So the wait that would close
//! the circle ends at once: the event is enqueued already, and the hard bound still holds. Synchronous
//! handlers of a service without state hold nothing up, since a substitute goes on.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bus::Bus;
use crate::current::{self, Current};
use crate::service::{Service, stand};

/// Every service of a bus that is held back, by its address, and by whom; with the number of waits.
#[derive(Default)]
pub(crate) struct HeldBack(Mutex<Edges>);

type Edges = HashMap<usize, HashMap<usize, usize>>;

impl HeldBack {
    fn lock(&self) -> MutexGuard<'_, Edges> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That a handler is held back, until it is dropped; nothing outside of handlers.
#[derive(Debug)]
pub(crate) struct Held(Option<(Bus, usize, Vec<usize>)>);

impl Held {
    /// The handler that this thread runs is held back by `services`; nothing if that might never end.
    pub(crate) fn new<'a>(services: impl Iterator<Item = &'a Service>) -> Option<Self> {
        let holds_up = |current: &Current| current.holds_up().then(|| current.bus().clone());
        let bus = current::with(holds_up).flatten();
        // Not the handler's service: an inline handler stands on the thread of another.
        let Some((bus, own)) = bus.zip(stand::service()) else { return Some(Self(None)) };
        let from = address(&own);
        let to: Vec<usize> = services.map(address).collect();
        {
            let mut edges = bus.0.held_back.lock();
            if leads(&edges, &to, from) {
                return None;
            }
            let waits = edges.entry(from).or_default();
            for to in &to {
                *waits.entry(*to).or_default() += 1;
            }
        }
        Some(Self(Some((bus, from, to))))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some((bus, from, to)) = &self.0 else { return };
        let mut edges = bus.0.held_back.lock();
        let Some(waits) = edges.get_mut(from) else { return };
        for to in to {
            if let Some(count) = waits.get_mut(to) {
                *count -= 1;
            }
        }
        waits.retain(|_, count| *count > 0);
        if waits.is_empty() {
            edges.remove(from);
        }
    }
}

fn address(service: &Service) -> usize {
    std::ptr::from_ref(service).addr()
}

/// Whether any of `services` is `wanted`, or is held back by it at last.
fn leads(edges: &Edges, services: &[usize], wanted: usize) -> bool {
    let mut open = services.to_vec();
    let mut seen = HashSet::new();
    while let Some(service) = open.pop() {
        if service == wanted {
            return true;
        }
        if seen.insert(service) {
            open.extend(edges.get(&service).into_iter().flat_map(HashMap::keys));
        }
    }
    false
}
