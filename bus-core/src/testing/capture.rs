//! What was fired on a test bus.

use std::ops::Deref;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use super::TestBus;
use crate::bus::Bus;
use crate::context::convert;
use crate::dynamic::Pattern;
use crate::error::{Error, ErrorKind, Result};
use crate::event::PayloadDescriptor;
use crate::message::{Held, MessageRef};
use crate::{codec, name, router};

/// Every event that was fired, in order.
#[derive(Default)]
pub(super) struct Capture(Mutex<Vec<MessageRef>>);

impl Capture {
    pub(super) fn add(&self, message: MessageRef) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    fn all(&self) -> Vec<MessageRef> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self) -> Vec<MessageRef> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An event that was fired on a [`TestBus`]; derefs to its payload.
pub struct Fired<T> {
    payload: Held<T>,
    message: MessageRef,
    bus: Bus,
}

impl<T> Fired<T> {
    /// The exchange that it was fired on.
    pub fn exchange(&self) -> &str {
        self.message.subject().0
    }

    /// The routing key.
    pub fn key(&self) -> &str {
        self.message.subject().1
    }

    /// The message's id: what `Context::id` tells its listeners.
    pub fn id(&self) -> String {
        self.bus.message_id(self.message.head().seq)
    }

    /// When it was fired, in virtual time.
    pub fn time(&self) -> SystemTime {
        self.message.head().time(|| self.bus.clock().time())
    }

    /// The id of the first message in the chain of causes; its own if it is the first.
    pub fn correlation_id(&self) -> String {
        self.bus.message_id(self.message.head().correlation())
    }

    /// The id of the message whose handler fired it.
    pub fn causation_id(&self) -> Option<String> {
        let cause = self.message.head().cause()?;
        Some(self.bus.message_id(cause.seq))
    }
}

impl<T: Send + Sync + 'static> Deref for Fired<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.payload
    }
}

impl<T: std::fmt::Debug + Send + Sync + 'static> std::fmt::Debug for Fired<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fired")
            .field("exchange", &self.exchange())
            .field("key", &self.key())
            .field("payload", &**self)
            .finish_non_exhaustive()
    }
}

impl TestBus {
    /// Every event so far whose payload is a `T`, in the order of firing.
    ///
    /// What was fired as another type, such as an older version, or by name is not among them: see
    /// [`fired_as`](Self::fired_as).
    pub fn fired<T: Send + Sync + 'static>(&self) -> Vec<Fired<T>> {
        let messages = self.testing().capture.all().into_iter();
        let fired = messages.filter_map(|message| {
            let payload = Held::fired(&message)?;
            Some(Fired { payload, message, bus: (**self).clone() })
        });
        fired.collect()
    }

    /// Every event so far that a listener of `pattern` would hear, as that listener would receive it
    /// in a parameter of type `T`: itself, by a declared upcast, or through the codec.
    ///
    /// A pattern alone matches on every exchange; `("order", "order.#")` names one, and a topic,
    /// such as `Order::SUBMIT`, is one event. [`serde_json::Value`] fits every payload that travels.
    ///
    /// # Errors
    ///
    /// `Name` for a pattern that is none; `Codec` if a payload does not become a `T`.
    pub fn fired_as<T>(&self, pattern: impl Into<Pattern>) -> Result<Vec<Fired<T>>>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let Pattern { exchange, pattern } = pattern.into();
        name::check_pattern(&pattern)?;
        let wanted = PayloadDescriptor::probed::<T>(None, Some(codec::decode_any::<T>));
        let mut fired = Vec::new();
        for message in self.testing().capture.all() {
            let (on, key) = message.subject();
            if exchange.as_deref().is_some_and(|only| only != on) || !router::matches(&pattern, key)
            {
                continue;
            }
            let payload = convert(self, &message, &wanted).map_err(|failure| {
                let text = format!("the event `{key}` is no `{}`", (wanted.type_name)());
                Error::new(ErrorKind::Codec, text).with_source(failure)
            })?;
            fired.push(Fired { payload, message, bus: (**self).clone() });
        }
        Ok(fired)
    }

    /// Forgets what was fired so far, so that what follows stands alone.
    pub fn forget_fired(&self) {
        // What is dropped may run code of the user; nothing is held meanwhile.
        drop(self.testing().capture.take());
    }
}
