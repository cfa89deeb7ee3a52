//! A message that a transport brought: what it travelled in, and how it is settled there.

use std::sync::{Arc, Mutex, PoisonError};

use crate::envelope::Envelope;
use crate::error::CodecError;
use crate::message::{Head, Message, Payload};
use crate::router::Route;
use crate::transport::{Acker, Settlement};

/// What a message that came from elsewhere has beside its head.
pub(crate) struct Arrival {
    pub(crate) envelope: Arc<Envelope>,
    acker: Mutex<Option<Acker>>,
    keeping: Keeping,
}

/// Who keeps what has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// The transport: retries and dead letters outlive the process.
    There,
    /// This process: the queue is its own, and gone with it.
    Here,
}

impl Arrival {
    pub(crate) fn new(envelope: Arc<Envelope>, acker: Acker, keeping: Keeping) -> Self {
        Self { envelope, acker: Mutex::new(Some(acker)), keeping }
    }

    /// Settles it at its transport; `false` if what follows is this process's own affair.
    pub(crate) fn settle(&self, how: Settlement) -> bool {
        let acker = self.acker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let done = matches!(how, Settlement::Ack);
        let how = if self.keeping == Keeping::Here { Settlement::Ack } else { how };
        if let Some(acker) = acker {
            acker.settle(how);
        }
        done || self.keeping == Keeping::There
    }
}

/// An event that a transport brought, for one listener.
pub(crate) struct Received {
    head: Head,
    /// The one listener.
    route: Arc<Route>,
    arrival: Arrival,
}

impl Received {
    pub(crate) fn new(head: Head, route: Arc<Route>, arrival: Arrival) -> Self {
        Self { head, route, arrival }
    }
}

impl Message for Received {
    fn head(&self) -> &Head {
        &self.head
    }

    fn subject(&self) -> (&str, &str) {
        (&self.arrival.envelope.exchange, &self.arrival.envelope.key)
    }

    fn payload(&self) -> Payload<'_> {
        Payload::Encoded(&self.arrival.envelope.body)
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        Ok(self.arrival.envelope.body.clone())
    }

    fn route(&self) -> Option<&Arc<Route>> {
        Some(&self.route)
    }

    fn arrival(&self) -> Option<&Arrival> {
        Some(&self.arrival)
    }
}
