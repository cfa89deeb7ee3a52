//! Who sent what on whose behalf, in text: ids, causes and traces, also across processes.
//!
//! Within a process they are numbers until somebody asks. A message that came from elsewhere has ids
//! of its own; it and everything in its wake share them as one [`Chain`].

use std::sync::Arc;

use crate::bus::Bus;
use crate::envelope::Envelope;
use crate::message::Head;
use crate::trace::{self, Origin};

/// What a message from elsewhere, and what follows from it here, knows of where it came from.
pub(crate) struct Chain {
    /// The number that it has here.
    seq: u64,
    pub(crate) envelope: Arc<Envelope>,
}

impl Chain {
    pub(crate) fn new(seq: u64, envelope: Arc<Envelope>) -> Self {
        Self { seq, envelope }
    }

    fn id(&self, bus: &Bus) -> String {
        // A foreign program may give none.
        if self.envelope.id.is_empty() {
            bus.message_id(self.seq)
        } else {
            self.envelope.id.clone()
        }
    }

    /// The 32 hexadecimal digits of the trace that it belongs to.
    fn trace(&self) -> Option<&str> {
        self.envelope.traceparent.as_deref().and_then(trace::trace_of)
    }
}

/// A message among others, as whoever handles it sees it.
#[derive(Clone, Copy)]
pub(crate) struct Lineage<'a> {
    pub(crate) bus: &'a Bus,
    pub(crate) correlation: u64,
    pub(crate) chain: Option<&'a Arc<Chain>>,
}

impl<'a> Lineage<'a> {
    pub(crate) fn of(bus: &'a Bus, head: &'a Head) -> Self {
        Self { bus, correlation: head.correlation(), chain: head.chain() }
    }

    /// The envelope of message `seq`, if that is the one that came from elsewhere.
    pub(crate) fn envelope(self, seq: u64) -> Option<&'a Envelope> {
        self.chain.filter(|chain| chain.seq == seq).map(|chain| &*chain.envelope)
    }

    /// The id of message `seq`.
    pub(crate) fn id(self, seq: u64) -> String {
        match self.chain.filter(|chain| chain.seq == seq) {
            Some(chain) => chain.id(self.bus),
            None => self.bus.message_id(seq),
        }
    }

    /// The id of the first message of the chain.
    pub(crate) fn correlation_id(self) -> String {
        match self.chain {
            // Who sent the first of a chain need not say so.
            Some(chain) => {
                let correlation = chain.envelope.correlation_id.clone();
                correlation.unwrap_or_else(|| chain.id(self.bus))
            }
            None => self.bus.message_id(self.correlation),
        }
    }

    /// Names an attempt to whatever it calls.
    pub(crate) fn traceparent(self, origin: Origin) -> String {
        let trace = self.chain.and_then(|chain| chain.trace());
        trace::traceparent(self.bus, self.correlation, origin, trace)
    }
}
