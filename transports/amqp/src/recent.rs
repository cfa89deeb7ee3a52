//! The messages that a consumer received lately, by their ids.
//!
//! What is delivered again after a connection was lost is suspected of killing its consumers. But a
//! consumer that still knows it is alive, and so did not die of it.

use std::collections::{HashSet, VecDeque};

/// A bounded memory of ids.
#[derive(Debug)]
pub(crate) struct Recent {
    order: VecDeque<String>,
    known: HashSet<String>,
    most: usize,
}

impl Recent {
    /// Of at most so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { order: VecDeque::new(), known: HashSet::new(), most }
    }

    /// Notes an id; whether it is known already.
    pub(crate) fn note(&mut self, id: &str) -> bool {
        if !self.known.insert(id.to_owned()) {
            return true;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recent = Recent::new(2);
        assert_eq!(["a", "b", "a"].map(|id| recent.note(id)), [false, false, true]);
        assert!(!recent.note("c"));
        assert_eq!(["b", "c"].map(|id| recent.note(id)), [true, true]);
        assert!(!recent.note("a"));
    }
}
