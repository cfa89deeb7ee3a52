//! What a transport hands to a bus becomes a delivery, a task or a call.

use std::sync::Arc;

use super::arrival::{Arrival, Keeping, Received};
use super::{Remote, answer};
use crate::binding::Binding;
use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::dynamic::EncodedCall;
use crate::envelope::Envelope;
use crate::error::CodecError;
use crate::execute_error::ExecuteError;
use crate::failure::{Failure, Reason};
use crate::message::{Head, MessageRef};
use crate::router::Route;
use crate::table::{ByName, Command};
use crate::transport::{Incoming, MOST_LOST, Settlement};

/// An event for one listener.
pub(super) fn event(
    bus: &Bus,
    binding: &Arc<Binding>,
    route: &Arc<Route>,
    keeping: Keeping,
    incoming: Incoming,
) {
    let envelope = incoming.message;
    let poison =
        killer(&envelope).or_else(|| binding.payload.as_ref().and_then(|_| unreadable(&envelope)));
    let attempt = envelope.attempt;
    let head = Head::arrived(bus, envelope.clone());
    let arrival = Arrival::new(envelope, incoming.acker, keeping);
    let message = MessageRef::new(Received::new(head, route.clone(), arrival));
    deliver(bus, binding, message, attempt, poison);
}

/// A task for whoever serves its command.
pub(super) fn task(bus: &Bus, command: &Arc<Command>, incoming: Incoming) {
    let envelope = incoming.message;
    let poison = killer(&envelope).or_else(|| unreadable(&envelope));
    let attempt = envelope.attempt;
    let head = Head::arrived(bus, envelope.clone());
    let arrival = Arrival::new(envelope, incoming.acker, Keeping::There);
    let message = match command.by_name {
        Some(ByName::Linked(wire)) => wire.task(head, command.binding.clone(), arrival),
        Some(ByName::Closure) | None => {
            MessageRef::new(EncodedCall::arrived(head, command, arrival))
        }
    };
    deliver(bus, &command.binding, message, attempt, poison);
}

/// Brings it to the service of its handler, unless it is poison.
fn deliver(
    bus: &Bus,
    binding: &Arc<Binding>,
    message: MessageRef,
    attempt: u32,
    poison: Option<Failure>,
) {
    let delivery = Delivery { binding: binding.clone(), message, slot: 0, attempt };
    match poison {
        Some(failure) => delivery.unstarted().die(bus, failure),
        None => {
            if let Err(delivery) = delivery.enqueue(bus) {
                delivery.unstarted().abandon(bus, Failure::abandoned());
            }
        }
    }
}

/// A call that somebody elsewhere waits for.
pub(super) fn call(bus: &Bus, command: &Arc<Command>, incoming: Incoming) {
    let (envelope, acker) = (incoming.message, incoming.acker);
    let reply = |answer| Settlement::Reply(Box::new(answer::write(answer)));
    if let Some(failure) = unreadable(&envelope) {
        let error = CodecError::new("", failure.message());
        acker.settle(reply(Err(ExecuteError::Codec(error))));
        return;
    }
    let cancels = bus.0.remote.as_ref().map(Remote::cancels);
    if cancels.is_some_and(|cancels| cancels.came_first(&envelope.id)) {
        acker.settle(reply(Err(ExecuteError::Cancelled)));
        return;
    }
    let head = Head::arrived(bus, envelope.clone());
    let promise = bus.call_encoded(head, command, &envelope.body);
    let underway = cancels.map(|cancels| cancels.begin(&envelope.id, promise.canceller()));
    promise.then(move |answer| {
        drop(underway);
        acker.settle(match answer {
            // It did not run, since this process stops. Another one may run it.
            Err(ExecuteError::Closed | ExecuteError::NotStarted) => Settlement::PassOn,
            answer => reply(answer),
        });
    });
}

/// Why a message must not be run: it seems to kill whoever runs it.
fn killer(envelope: &Envelope) -> Option<Failure> {
    (envelope.lost > MOST_LOST).then(|| {
        let text = format!(
            "{} attempts ended without an outcome: its consumer died, or lost its connection",
            envelope.lost
        );
        Failure::of(Reason::Lost, text)
    })
}

/// Why the body of a message cannot be read, whatever its type.
fn unreadable(envelope: &Envelope) -> Option<Failure> {
    if envelope.spec_version != Envelope::SPEC_VERSION {
        let text = format!("CloudEvents of version `{}` are not known", envelope.spec_version);
        return Some(Failure::of(Reason::Decode, text));
    }
    let content_type = envelope.content_type.as_deref()?;
    (!is_json(content_type)).then(|| {
        let text = format!("bodies of the type `{content_type}` are not known; JSON is");
        Failure::of(Reason::Decode, text)
    })
}

/// Whether a media type is JSON: `application/json`, or one with the suffix `+json` (RFC 6839, 3.1).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.is_empty() || essence == Envelope::JSON || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_by_its_media_type() {
        for json in ["application/json", "Application/JSON; charset=utf-8", "x/y+json", ""] {
            assert!(is_json(json), "{json}");
        }
        for other in ["text/plain", "application/x-protobuf", "json"] {
            assert!(!is_json(other), "{other}");
        }
    }
}
