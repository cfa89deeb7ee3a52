//! What a consumer had from the broker when it lost its channel, by its ids: all that may come again
//! from there.
//!
//! What is delivered again is suspected of killing its consumers. But a consumer that still knows it is
//! alive, and so did not die of it; and what it has handled already it need not handle again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use autobus_core::transport::Envelope;

use crate::settle::Settler;

/// A bounded memory of messages.
#[derive(Debug)]
pub(crate) struct Recent {
    order: VecDeque<String>,
    known: HashMap<String, Known>,
    most: usize,
}

/// What is known of a message.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// It came, and nobody died of it.
    Survived,
    /// This attempt was handled.
    Handled(Attempt),
    /// This attempt was with the bus, which settles it by the tag that it had.
    Open(Attempt, Arc<Settler>, u64),
}

impl Known {
    /// Whether exactly this message was handled, perhaps after its channel was lost.
    pub(crate) fn is_handled(&self, message: &Envelope) -> bool {
        match self {
            Self::Survived => false,
            Self::Handled(attempt) => attempt.is_of(message),
            Self::Open(attempt, settler, tag) => attempt.is_of(message) && settler.has_acked(*tag),
        }
    }
}

/// An attempt of an event that its id and source tell from all others, as CloudEvents demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) source: String,
    pub(crate) number: u32,
    pub(crate) lost: u32,
}

impl Attempt {
    /// Whether this is the message of it.
    fn is_of(&self, message: &Envelope) -> bool {
        (&self.source, self.number, self.lost) == (&message.source, message.attempt, message.lost)
    }
}

impl Recent {
    /// Of at most so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { order: VecDeque::new(), known: HashMap::new(), most }
    }

    /// Notes what is known of an id, instead of what was known.
    pub(crate) fn note(&mut self, id: String, known: Known) {
        if self.known.insert(id.clone(), known).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// What is known of a message that is delivered again.
    pub(crate) fn look(&self, id: &str) -> Option<&Known> {
        self.known.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recent = Recent::new(2);
        for id in ["a", "b", "a", "c"] {
            recent.note(id.to_owned(), Known::Survived);
        }
        assert_eq!(["a", "b", "c"].map(|id| recent.look(id).is_some()), [false, true, true]);
    }

    #[test]
    fn the_last_word_counts() {
        let mut recent = Recent::new(2);
        let mut message = Envelope::new("", "", Vec::new());
        message.source = "shop".to_owned();
        let is_handled = |recent: &Recent, message: &Envelope| {
            recent.look("a").is_some_and(|known| known.is_handled(message))
        };
        let attempt = Attempt { source: "shop".to_owned(), number: 1, lost: 0 };
        recent.note("a".to_owned(), Known::Handled(attempt));
        assert!(is_handled(&recent, &message));
        message.attempt = 2;
        assert!(!is_handled(&recent, &message));
        message.attempt = 1;
        recent.note("a".to_owned(), Known::Survived);
        assert!(!is_handled(&recent, &message));
    }
}
