//! What travels in the process: a fired event, a call, a task; each one allocation.
//!
//! A message knows its payload's type; services have [handles](MessageRef) on it. Its id, time and
//! causes are numbers until somebody asks for them as text.

mod firing;
mod head;

use std::any::{Any, TypeId};
use std::sync::Arc;

use unsize::{CoerceUnsize as _, Coercion};

pub use self::firing::Held;
pub(crate) use self::firing::{Encoded, Firing, encode_as};
pub(crate) use self::head::{Deliveries, Head};
use crate::binding::Binding;
use crate::error::CodecError;
use crate::failure::Failure;
use crate::handler::{HandlerResult, Plain};
use crate::remote::Arrival;
use crate::router::Route;
use crate::service::Progress;

/// Anything that a handler can be given.
pub(crate) trait Message: Any + Send + Sync {
    /// Ids, causes, outcomes.
    fn head(&self) -> &Head;
    /// The exchange and the routing key; a command's name stands as the key.
    fn subject(&self) -> (&str, &str);
    /// The payload and its type.
    fn payload(&self) -> Payload<'_>;
    /// The payload as JSON.
    fn encode(&self) -> Result<Vec<u8>, CodecError>;
    /// The listeners that an event went to.
    fn route(&self) -> Option<&Arc<Route>> {
        None
    }
    /// The handlers that it went to, in the order of their slots.
    fn handlers(&self) -> Vec<Arc<Binding>> {
        let one = self.handler().into_iter().cloned();
        one.chain(self.route().into_iter().flat_map(|route| route.bindings().cloned())).collect()
    }
    /// The one handler of a call or a task.
    fn handler(&self) -> Option<&Arc<Binding>> {
        None
    }
    /// The plain command of a call that was made in this process.
    fn plain_call(&self) -> Option<&Arc<Binding>> {
        None
    }
    /// Where it came from, if a transport brought it.
    fn arrival(&self) -> Option<&Arrival> {
        None
    }
    /// Runs a plain handler on the payload, or on the arguments of a call; nothing if they are of
    /// other types.
    fn run_plain(&self, plain: Plain) -> Option<HandlerResult> {
        let _ = plain;
        None
    }
    /// Runs the plain listeners of the group at a place of the route, one after another, from where
    /// `progress` is, until one fails or the group is cut short; the first one in any case,
    /// if it takes this type.
    fn run_group(&self, place: usize, progress: &Progress) -> Ran {
        let _ = (place, progress);
        Ran::Unfit
    }
    /// Asks for the memory of the message, which was written on another core, a moment before it is needed.
    fn prefetch(&self) {}
    /// The same for what its payload has elsewhere, which the message itself tells where.
    fn prefetch_payload(&self) {}
    /// Drops what it carries, unless the end of that can wait, now that it is handled and this is the only
    /// handle on it, and says whether it can be used for another message.
    fn spend(&mut self) -> bool {
        false
    }
    /// The handle on a caller who waits for an answer.
    fn call(&self) -> Option<&dyn Caller> {
        None
    }
}

/// A handle on a message. Nobody needs a weak one, and without those a look tells the only one.
#[derive(Clone, Debug)]
pub(crate) struct MessageRef(triomphe::Arc<dyn Message>);

// What it points to stays where it is.
impl Unpin for MessageRef {}

impl MessageRef {
    /// The first handle on a message.
    #[inline]
    pub(crate) fn new(message: impl Message) -> Self {
        Self::of(triomphe::Arc::new(message))
    }

    /// A handle on a message of a known type, as one on any.
    #[inline]
    pub(crate) fn of(message: triomphe::Arc<impl Message>) -> Self {
        Self(message.unsize(Coercion!(to dyn Message)))
    }

    /// Whether nobody has another one.
    #[inline]
    pub(crate) fn is_only(&self) -> bool {
        self.0.is_unique()
    }

    /// The message, if nobody has another handle on it.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> Option<&mut dyn Message> {
        triomphe::Arc::get_mut(&mut self.0)
    }
}

impl std::ops::Deref for MessageRef {
    type Target = dyn Message;
    #[inline]
    fn deref(&self) -> &dyn Message {
        &*self.0
    }
}

/// What a service without state runs as a whole, of a message that comes for the first time.
#[derive(Clone, Copy)]
pub(crate) enum Whole {
    /// Plain listeners of one event.
    Group {
        /// That of the group in the route.
        place: u16,
        /// How many they are.
        len: u32,
    },
    /// A call of a plain command.
    Call,
}

impl Whole {
    /// How many deliveries it is.
    #[inline]
    pub(crate) fn len(self) -> u64 {
        match self {
            Self::Group { len, .. } => len.into(),
            Self::Call => 1,
        }
    }
}

/// How a group ran.
pub(crate) enum Ran {
    /// To its end.
    All,
    /// Up to a listener that failed.
    Failed(Box<Failure>),
    /// Up to a listener that takes another type.
    Unfit,
}

/// Somebody who waits for the answer of a call.
pub(crate) trait Caller {
    /// Ends the wait without an answer of the handler.
    fn fail(&self, why: CallFault);
    /// Asks the handler to stop, and answers `Cancelled` unless the answer is there.
    fn cancel(&self);
    /// Whether the caller gave up before the handler started.
    fn is_cancelled(&self) -> bool;
    /// Notified when the caller gives up.
    fn listen_cancelled(&self) -> event_listener::EventListener;
}

/// Why a call has no answer of its handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallFault {
    Panicked,
    Refused(String),
    Cancelled,
    Closed,
    /// It was cut off while it ran.
    Interrupted,
    /// It failed without its handler, which alone has errors of the caller's type; its text.
    Failed(String),
    /// The service cannot run it; says why.
    Unavailable(String),
}

/// The payload of a message, borrowed.
pub(crate) enum Payload<'a> {
    /// A Rust value.
    Typed(&'a dyn Any),
    /// JSON.
    Encoded(&'a [u8]),
}

/// The type of a payload, without its value.
pub(crate) fn type_of(payload: &Payload<'_>) -> Option<TypeId> {
    match payload {
        Payload::Typed(value) => Some((**value).type_id()),
        Payload::Encoded(_) => None,
    }
}
