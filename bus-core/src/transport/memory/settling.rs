//! What becomes of messages that were received.

use std::sync::Arc;
use std::time::Duration;

use super::effects::Effects;
use super::line::Parcel;
use super::state::{Delivery, Key, State};
use crate::clock::Clock;
use crate::failure::{Failure, Reason};
use crate::transport::{CallError, Dead, Envelope, Settlement};

impl State {
    /// Settles a message; nothing, if the connection no longer holds it.
    pub(super) fn settle(
        &mut self,
        connection: u64,
        tag: u64,
        how: Settlement,
        effects: &mut Effects,
    ) {
        let Some(holder) = self.connections.get_mut(&connection) else { return };
        let Some(delivery) = holder.deliveries.remove(&tag) else { return };
        let clock = holder.clock.clone();
        let Delivery { consumer, ref key, .. } = delivery;
        let (key, is_call) = (key.clone(), delivery.parcel.call.is_some());
        if is_call && matches!(how, Settlement::PassOn) && self.consumers.get(consumer).is_some() {
            // It would come to the same one again.
            holder.deliveries.insert(tag, Delivery { passed_on: true, ..delivery });
            return;
        }
        let Delivery { parcel, returned, .. } = delivery;
        self.consumers.done(consumer, returned);
        match parcel.call {
            Some(_) if matches!(how, Settlement::PassOn) => self.pass_on(&key, parcel, effects),
            Some(call) => self.answer(call, how, effects),
            None => self.apply(&key, (parcel, returned), how, &clock, effects),
        }
        self.dispatch(&key, effects);
        self.disconnect_if_done(connection, effects);
    }

    fn apply(
        &mut self,
        key: &Key,
        (parcel, returned): (Parcel, bool),
        how: Settlement,
        clock: &Clock,
        effects: &mut Effects,
    ) {
        let id = self.id();
        let Some(queue) = self.queues.get_mut(key) else { return };
        match how {
            Settlement::GiveBack | Settlement::PassOn => queue.line.put_back(parcel, returned),
            Settlement::Retry { after, attempt } if queue.keeps() => {
                let message = Arc::unwrap_or_clone(parcel.message);
                queue.postpone(id, Envelope { attempt, ..message });
                self.wake(key, id, after, clock, effects);
            }
            Settlement::Dead { reason, attempts } if queue.keeps() => {
                let message = Arc::unwrap_or_clone(parcel.message);
                let message = Envelope { attempt: attempts, ..message };
                queue.bury(Dead::new(message, reason, clock.time()));
            }
            // Handled; or in a queue that nothing is kept in.
            Settlement::Ack
            | Settlement::Reply(_)
            | Settlement::Retry { .. }
            | Settlement::Dead { .. } => {}
        }
    }

    /// Has a message come again once its while is over.
    fn wake(&self, key: &Key, id: u64, after: Duration, clock: &Clock, effects: &mut Effects) {
        let (broker, key, clock) = (self.broker.clone(), key.clone(), clock.clone());
        let at = clock.after(after);
        effects.then(move || {
            // The timer keeps its clock, so that the message comes also if its bus is gone by then.
            let kept = clock.clone();
            clock.at(at, move || {
                if let Some(broker) = broker.upgrade() {
                    broker.with(|state, effects| state.due(&key, id, effects));
                }
                drop(kept);
            });
        });
    }

    fn due(&mut self, key: &Key, id: u64, effects: &mut Effects) {
        if let Some(queue) = self.queues.get_mut(key) {
            queue.due(id);
        }
        self.dispatch(key, effects);
    }

    /// A message that its consumer must not take is a dead letter.
    pub(super) fn too_large(
        &mut self,
        connection: u64,
        key: &Key,
        parcel: Parcel,
        limit: usize,
        effects: &mut Effects,
    ) {
        let size = parcel.message.body.len();
        let text = format!("the body has {size} bytes; the limit is {limit}");
        if let Some(call) = parcel.call {
            return self.fail(call, CallError::Unsent(text), effects);
        }
        let Some(taker) = self.connections.get(&connection) else { return };
        let (clock, attempts) = (taker.clock.clone(), parcel.message.attempt);
        let reason = Failure::of(Reason::Decode, text);
        let dead = Settlement::Dead { reason, attempts };
        self.apply(key, (parcel, false), dead, &clock, effects);
    }
}
