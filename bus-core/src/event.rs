//! Typed events: a struct that knows the exchange and the routing key it is fired with.

use std::any::{Any, TypeId};
use std::marker::PhantomData;

use crate::codec::PayloadCodec;
use crate::command::CommandDescriptor;
use crate::handler::Body;
use crate::handler::{Handler, Link, Place, ServiceDescriptor, ServiceName};
use crate::receipt::Receipt;

/// A struct that is fired as an event; derived, never written by hand.
///
/// `#[event(..)]` and `#[derive(Event)]` implement it. The struct's *first* event is
/// [`EVENT`](Self::EVENT); each named one is a constant of the struct besides.
///
/// A fired value is dropped when the last of its listeners is done and nobody holds its receipt, on the
/// thread of whoever is last. Where that does nothing but free memory, and with the message no more than 512
/// bytes of it, it may be later: when another event takes its place, or when the service has had nothing to
/// do for a tenth of a second or two; a thread that fires keeps the last few until it ends. So much is known
/// of structs whose fields have nothing to drop, or are `String`, `Vec<T>` of a `T` that has nothing to drop,
/// or `Option`s of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "put `#[event(exchange = \"…\", key = \"…\")]` above the struct, or derive `Event`"
)]
pub trait Event: Send + Sync + Sized + 'static {
    /// The first event of this struct.
    const EVENT: Topic<Self>;

    /// Fires the struct's first event on the current bus, moving the payload.
    ///
    /// The current bus is the one that runs the handler in which this is called; elsewhere it is
    /// the default bus. It never blocks. Dropping the receipt is fire and forget.
    fn fire(self) -> Receipt {
        crate::global::fire(Self::EVENT, self)
    }

    /// How many bytes it has outside of itself, if its end does nothing but free them. Used by the macros.
    #[doc(hidden)]
    #[inline]
    fn __memory(&self) -> Option<usize> {
        crate::memory::nothing::<Self>()
    }

    /// Asks for what it has outside of itself. Used by the macros.
    #[doc(hidden)]
    #[inline]
    fn __prefetch(&self) {}
}

/// An event as a constant: exchange, routing key and payload type.
///
/// Two topics are equal if their exchanges and keys are.
pub struct Topic<T> {
    descriptor: &'static EventDescriptor,
    payload: PhantomData<fn() -> T>,
}

impl<T> Topic<T> {
    /// Used by the macros.
    #[doc(hidden)]
    pub const fn new(descriptor: &'static EventDescriptor) -> Self {
        Self { descriptor, payload: PhantomData }
    }

    /// The exchange that the event is fired on.
    pub const fn exchange(self) -> &'static str {
        self.descriptor.exchange
    }

    /// The routing key.
    pub const fn key(self) -> &'static str {
        self.descriptor.key
    }

    #[doc(hidden)]
    pub const fn descriptor(self) -> &'static EventDescriptor {
        self.descriptor
    }
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Topic<T> {}

impl<T> PartialEq for Topic<T> {
    fn eq(&self, other: &Self) -> bool {
        self.exchange() == other.exchange() && self.key() == other.key()
    }
}

impl<T> Eq for Topic<T> {}

impl<T> std::fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic")
            .field("exchange", &self.exchange())
            .field("key", &self.key())
            .finish_non_exhaustive()
    }
}

/// What a macro says of one event.
#[derive(Debug)]
pub struct EventDescriptor {
    /// Where it was declared.
    pub place: Place,
    /// The exchange.
    pub exchange: &'static str,
    /// The routing key.
    pub key: &'static str,
    /// The payload's type, and how it travels.
    pub payload: PayloadDescriptor,
    /// The older types that become this one.
    pub upcasts: &'static [Upcast],
    /// Never leaves the process.
    pub local: bool,
}

/// The type of a payload.
#[derive(Debug, Clone, Copy)]
pub struct PayloadDescriptor {
    /// Identifies the type.
    pub type_id: fn() -> TypeId,
    /// Names it in messages.
    pub type_name: fn() -> &'static str,
    /// Writes and reads it; a half that the type cannot do is missing.
    pub codec: PayloadCodec,
}

/// `upcasts(Old)`: an older type that becomes a newer one.
#[derive(Debug, Clone, Copy)]
pub struct Upcast {
    /// The older type.
    pub from: fn() -> TypeId,
    /// Converts a value of the older type; `None` if it is of another.
    pub apply: fn(&dyn Any) -> Option<Box<dyn Any + Send>>,
}

impl Upcast {
    /// From `Old` to `New`.
    pub const fn new<Old, New>() -> Self
    where
        Old: Clone + 'static,
        New: From<Old> + Send + 'static,
    {
        Self {
            from: TypeId::of::<Old>,
            apply: |old| {
                let old = old.downcast_ref::<Old>()?;
                Some(Box::new(New::from(old.clone())))
            },
        }
    }
}

/// What a macro says of one listener.
#[derive(Debug)]
pub struct ListenerDescriptor {
    /// What it shares with commands.
    pub handler: Handler,
    /// What it hears.
    pub source: Source,
    /// The exchange, where given.
    pub exchange: Option<&'static str>,
    /// The queue, where given.
    pub queue: Option<&'static str>,
    /// Every process receives its own copy.
    pub broadcast: bool,
    /// The payload, or nothing for a listener that takes only the context.
    pub payload: Option<PayloadDescriptor>,
    /// Whether the payload is taken as `Arc<T>`.
    pub shared: bool,
    /// The code.
    pub body: Body,
}

/// What a listener hears.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// `#[listener("order.*.submit")]`.
    Pattern(&'static str),
    /// `#[listener(Order::SUBMIT)]`.
    Topic(&'static EventDescriptor),
    /// `#[listener]`: every event of the payload's type.
    Payload,
}

/// One thing that a macro registered; gathered at link time.
#[derive(Debug, Clone, Copy)]
pub enum Registration {
    /// A command, or the contract of one.
    Command(&'static CommandDescriptor),
    /// A listener.
    Listener(&'static ListenerDescriptor),
    /// An event.
    Event(&'static EventDescriptor),
    /// A service with state.
    Service(&'static ServiceDescriptor),
    /// The name of a module's service.
    ServiceName(&'static ServiceName),
    /// A crate whose handlers are wanted.
    Link(&'static Link),
}

inventory::collect!(Registration);

/// Makes a type an event of this process, for a test.
#[cfg(test)]
macro_rules! local_event {
    ($name:ident, $descriptor:ident, $exchange:literal, $key:literal $(, $memory:expr)?) => {
        static $descriptor: $crate::event::EventDescriptor = $crate::event::EventDescriptor {
            place: $crate::__place!(),
            exchange: $exchange,
            key: $key,
            payload: $crate::event::PayloadDescriptor::local::<$name>(),
            upcasts: &[],
            local: true,
        };

        impl $crate::event::Event for $name {
            const EVENT: $crate::event::Topic<Self> = $crate::event::Topic::new(&$descriptor);
            $(fn __memory(&self) -> Option<usize> {
                $memory(self)
            })?
        }
    };
}

#[cfg(test)]
pub(crate) use local_event;
