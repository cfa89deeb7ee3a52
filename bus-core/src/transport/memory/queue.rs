//! One queue: what is bound to it, what waits in it, and its dead letters.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::line::{Line, Parcel};
use crate::transport::{Binding, Dead, Depth, Envelope, QueueKind};

/// A queue of messages.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) kind: QueueKind,
    pub(super) bindings: HashSet<Binding>,
    pub(super) line: Line,
    /// What comes again after a while.
    retries: HashMap<u64, Envelope>,
    dead: Vec<Dead>,
}

impl Stored {
    pub(super) fn new(kind: QueueKind) -> Self {
        Self {
            kind,
            bindings: HashSet::new(),
            line: Line::default(),
            retries: HashMap::new(),
            dead: Vec::new(),
        }
    }

    /// Whether it holds on to what was not handled.
    pub(super) fn keeps(&self) -> bool {
        self.kind != QueueKind::Broadcast
    }

    pub(super) fn postpone(&mut self, id: u64, message: Envelope) {
        self.retries.insert(id, message);
    }

    /// The while of one is over.
    pub(super) fn due(&mut self, id: u64) {
        if let Some(message) = self.retries.remove(&id) {
            self.line.push(Parcel::new(Arc::new(message)));
        }
    }

    pub(super) fn bury(&mut self, dead: Dead) {
        self.dead.push(dead);
    }

    pub(super) fn dead(&self) -> &[Dead] {
        &self.dead
    }

    /// Takes out the oldest dead letter of a message.
    pub(super) fn dig_up(&mut self, id: &str) -> Option<Dead> {
        let at = self.dead.iter().position(|dead| dead.message.id == id)?;
        Some(self.dead.remove(at))
    }

    /// Puts a dead letter back, as its first attempt.
    pub(super) fn revive(&mut self, dead: Dead) {
        let message = Envelope { attempt: 1, lost: 0, ..dead.message };
        self.line.push(Parcel::new(Arc::new(message)));
    }

    pub(super) fn depth(&self) -> Depth {
        Depth::new(self.line.len() as u64, self.line.consumers() as u64)
    }
}
