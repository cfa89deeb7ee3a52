//! The bus's own events, on the exchange `bus`: what happens to it, for whoever listens.
//!
//! | Event | Key | When |
//! |---|---|---|
//! | [`Started`] | `bus.started` | every service runs |
//! | [`Stopping`] | `bus.stopping` | a shutdown begins; nothing is refused yet |
//! | [`DeadLettered`] | `bus.dead_letter` | a delivery failed for good |
//!
//! They are events like any other: `#[listener]` with the type, `#[listener(DeadLettered::EVENT)]`,
//! `#[listener("bus.dead_letter")]` and `#[listener("bus.#")]` hear them. They tell of one bus in one
//! process and never leave it. None is made where nobody listens.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::dead_letter::DeadLetter;
use crate::event::{Event, EventDescriptor, PayloadDescriptor, Registration, Topic};
use crate::name::DEFAULT_EXCHANGE;
use crate::router::matches;

/// `bus.started`: every service runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Started {
    /// The services that this process runs, sorted by name.
    pub services: Vec<String>,
}

/// `bus.stopping`: a shutdown begins. What its listeners fire and execute is still handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stopping {}

/// `bus.dead_letter`: a delivery failed for good, and is kept.
///
/// A delivery that fails in the wake of such an event, be it the listener's own or of something that it
/// sent, is kept and logged like any other, but not announced.
///
/// ```
/// use autobus_core::{Bus, Result, events::DeadLettered};
///
/// fn try_again(dead: &DeadLettered, bus: &Bus) -> Result<()> {
///     if dead.listener == "billing.invoice" { bus.dead_letters().replay(&dead.id) } else { Ok(()) }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLettered {
    /// The dead letter: see [`DeadLetters::replay`](crate::DeadLetters::replay).
    pub id: String,
    /// The listener, or the command of a task, that it failed for.
    pub listener: String,
    /// The exchange that the event was fired on; empty for a task.
    pub exchange: String,
    /// The routing key, or the command's name.
    pub key: String,
    /// Why the last attempt failed.
    pub reason: String,
    /// How many attempts there were.
    pub attempts: u32,
}

impl DeadLettered {
    pub(crate) fn of(letter: &DeadLetter) -> Self {
        Self {
            id: letter.id().to_owned(),
            listener: letter.listener().to_owned(),
            exchange: letter.exchange().to_owned(),
            key: letter.key().to_owned(),
            reason: letter.reason().to_string(),
            attempts: letter.attempts(),
        }
    }
}

/// Declares the events, as the macro of the crate above would.
macro_rules! declare {
    ($($key:literal: $event:ident, $descriptor:ident)*) => {
        $(
            static $descriptor: EventDescriptor = own::<$event>($key, crate::__place!());
            inventory::submit! { Registration::Event(&$descriptor) }
            impl Event for $event {
                const EVENT: Topic<Self> = Topic::new(&$descriptor);
            }
        )*
        const KEYS: &[&str] = &[$($key),*];
    };
}

declare! {
    "bus.started": Started, STARTED
    "bus.stopping": Stopping, STOPPING
    "bus.dead_letter": DeadLettered, DEAD_LETTER
}

const fn own<E>(key: &'static str, place: crate::handler::Place) -> EventDescriptor
where
    E: Event + Serialize + DeserializeOwned,
{
    EventDescriptor {
        place,
        exchange: DEFAULT_EXCHANGE,
        key,
        payload: PayloadDescriptor::of::<E>(),
        upcasts: &[],
        local: true,
    }
}

/// Whether an event is one of the bus's own.
pub(crate) fn is_own(exchange: &str, key: &str) -> bool {
    exchange == DEFAULT_EXCHANGE && KEYS.contains(&key)
}

/// Whether a pattern is meant for the bus's own events: it begins as they do, and hears one of them.
pub(crate) fn is_heard_by(pattern: &str) -> bool {
    pattern.starts_with("bus.") && KEYS.iter().any(|key| matches(pattern, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::Builder;

    // Here, since these tests have no listener.
    #[test]
    fn nobody_is_warned_that_nobody_hears_them() {
        assert_eq!(Builder::new().verify().warnings(), []);
    }

    #[test]
    fn a_pattern_that_only_begins_like_them_is_not_for_them() {
        assert!(is_heard_by("bus.#") && is_heard_by("bus.*"));
        assert!(!is_heard_by("bus.line.*") && !is_heard_by("#") && !is_heard_by("busy.#"));
    }
}
