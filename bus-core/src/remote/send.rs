//! What a bus gives to its transport: events and tasks, each in an envelope.

use std::sync::atomic::Ordering;

use super::{Remote, Sent};
use crate::bus::Bus;
use crate::current;
use crate::envelope::Envelope;
use crate::error::{CodecError, Error, ErrorKind, Result};
use crate::receipt::Receipt;
use crate::service::Limit;
use crate::trace::Origin;
use crate::transport::{Confirm, Queue, Resolver};

impl Remote {
    /// Publishes an event, or gives it back.
    pub(crate) fn fire<P>(
        &self,
        bus: &Bus,
        (exchange, key): (&str, &str),
        event: P,
        limit: Limit,
        encode: impl FnOnce(&P) -> Result<Vec<u8>, CodecError>,
    ) -> Result<Receipt, (Error, P)> {
        // User code, so it runs before anything is held.
        let body = match encode(&event) {
            Ok(body) => body,
            Err(error) => {
                let text = format!("the event `{key}` cannot be encoded");
                return Err((Error::new(ErrorKind::Codec, text).with_source(error), event));
            }
        };
        if let Err(error) = self.accept(bus, limit) {
            return Err((error, event));
        }
        bus.0.fired.fetch_add(1, Ordering::Relaxed);
        let message = self.envelope(bus, exchange, key, body);
        let (resolver, receipt) = self.sending(bus, &message);
        self.transport.publish(message, resolver);
        Ok(receipt)
    }

    /// Puts a task into the queue of its command.
    pub(crate) fn dispatch(&self, bus: &Bus, command: &str, body: Vec<u8>) -> Receipt {
        if let Err(error) = self.accept(bus, Limit::Hard) {
            return Receipt::refused(error);
        }
        let message = self.envelope(bus, "", command, body);
        let (resolver, receipt) = self.sending(bus, &message);
        self.transport.enqueue(&Queue::task(command), message, resolver);
        receipt
    }

    /// Counts a message that is about to be sent, if the bus takes work and the broker keeps up.
    fn accept(&self, bus: &Bus, limit: Limit) -> Result<()> {
        let table = bus.table();
        if !table.accepts(|| current::is_inside(bus)) {
            return Err(Error::closed());
        }
        let open = self.outbox.open();
        if open >= limit.of(bus.0.defaults.mailbox) {
            let text = format!("{open} messages are not confirmed by the broker yet");
            return Err(Error::new(ErrorKind::Full, text));
        }
        self.outbox.accept();
        Ok(())
    }

    fn sending(&self, bus: &Bus, message: &Envelope) -> (Resolver<Confirm>, Receipt) {
        let (id, key) = (message.id.clone(), message.key.clone());
        let limit = self.limits.confirm;
        let (resolver, sent) = Sent::new(&self.outbox, id, key, bus.clock(), limit);
        (resolver, Receipt::sent(sent))
    }

    /// Puts a body into an envelope, with its ids and causes.
    pub(crate) fn envelope(&self, bus: &Bus, exchange: &str, key: &str, body: Vec<u8>) -> Envelope {
        let mut message = Envelope::new(exchange, key, body);
        let seq = bus.next_seq();
        message.id = bus.message_id(seq);
        message.time = Some(bus.clock().time());
        message.content_type = Some(Envelope::JSON.to_owned());
        let cause = current::with(|current| {
            current.bus().is(bus).then(|| {
                let lineage = current.lineage();
                let origin = current.origin();
                (
                    current.service().name.to_string(),
                    lineage.correlation_id(),
                    lineage.id(origin.seq),
                    lineage.traceparent(origin),
                )
            })
        });
        if let Some((service, correlation, causation, traceparent)) = cause.flatten() {
            message.source = service;
            message.correlation_id = Some(correlation);
            message.causation_id = Some(causation);
            message.traceparent = Some(traceparent);
        } else {
            message.source.clone_from(&self.program);
            message.traceparent = Some(crate::trace::traceparent(bus, seq, Origin::NONE, None));
        }
        message
    }
}
