//! Which payload types become which: the declared upcasts of a program, and chains of them.

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet, VecDeque};

use crate::event::EventDescriptor;
use crate::failure::Failure;

type Apply = fn(&dyn Any) -> Option<Box<dyn Any + Send>>;

/// The declared events of a program and the upcasts between their payloads.
#[derive(Default)]
pub(crate) struct Upcasts {
    events: HashMap<&'static str, HashMap<&'static str, &'static EventDescriptor>>,
    newer: HashMap<TypeId, Vec<(TypeId, Apply)>>,
}

impl Upcasts {
    pub(crate) fn new(events: &[&'static EventDescriptor]) -> Self {
        let mut upcasts = Self::default();
        for event in events {
            upcasts.events.entry(event.exchange).or_default().insert(event.key, event);
            for upcast in event.upcasts {
                let to = (event.payload.type_id)();
                upcasts.newer.entry((upcast.from)()).or_default().push((to, upcast.apply));
            }
        }
        upcasts
    }

    /// The event that is declared for an exchange and key.
    pub(crate) fn declared(&self, exchange: &str, key: &str) -> Option<&'static EventDescriptor> {
        self.events.get(exchange)?.get(key).copied()
    }

    /// The shortest chain of upcasts.
    pub(crate) fn path(&self, from: TypeId, to: TypeId) -> Option<Chain> {
        let mut open = VecDeque::from([(from, Vec::new())]);
        let mut seen = HashSet::from([from]);
        while let Some((at, steps)) = open.pop_front() {
            if at == to {
                return Some(Chain(steps));
            }
            for (next, apply) in self.newer.get(&at).into_iter().flatten() {
                if seen.insert(*next) {
                    let mut steps = steps.clone();
                    steps.push(*apply);
                    open.push_back((*next, steps));
                }
            }
        }
        None
    }
}

/// Upcasts, one after another; at least one.
pub(crate) struct Chain(Vec<Apply>);

impl Chain {
    pub(crate) fn apply(&self, value: &dyn Any) -> Result<Box<dyn Any + Send>, Failure> {
        let mut steps = self.0.iter();
        let broken = || Failure::internal("an upcast was given a value of another type");
        let first = steps.next().ok_or_else(broken)?;
        let mut value = first(value).ok_or_else(broken)?;
        for step in steps {
            value = step(&*value).ok_or_else(broken)?;
        }
        Ok(value)
    }
}
