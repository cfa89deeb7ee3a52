//! The brokers of this process, by name, and the one lock of each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::effects::Effects;
use super::state::State;
use crate::clock::Clock;

/// A broker; it lives as long as somebody holds a connection to it.
pub(super) struct Broker {
    state: Mutex<State>,
    /// Deadlines for closing are the machine's: a clock that stands still must not keep a process
    /// from ending.
    pub(super) deadlines: Clock,
}

static BROKERS: Mutex<BTreeMap<String, Weak<Broker>>> = Mutex::new(BTreeMap::new());

impl Broker {
    /// The one of this name.
    pub(super) fn of(name: &str) -> Arc<Self> {
        let mut brokers = BROKERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(broker) = brokers.get(name).and_then(Weak::upgrade) {
            return broker;
        }
        brokers.retain(|_, broker| broker.strong_count() > 0);
        let broker = Self::new();
        brokers.insert(name.to_owned(), Arc::downgrade(&broker));
        broker
    }

    fn new() -> Arc<Self> {
        Arc::new_cyclic(|broker| Self {
            state: Mutex::new(State::new(broker.clone())),
            deadlines: Clock::system(),
        })
    }

    /// Changes the broker, and then, with the lock let go, does what follows from it.
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut State, &mut Effects) -> R) -> R {
        let mut effects = Effects::default();
        let result = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut state, &mut effects)
        };
        effects.run();
        result
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Broker(..)")
    }
}
