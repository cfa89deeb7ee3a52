//! [`Context`]: what a handler can ask about the message that it handles.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use crate::binding::Binding;
use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::envelope::{Envelope, Headers};
use crate::event::PayloadDescriptor;
use crate::failure::Failure;
use crate::handler::Needs;
use crate::lineage::Lineage;
use crate::message::{Deliveries, Head, Held, Message, MessageRef, Payload, encode_as, type_of};
use crate::service::Service;
use crate::state::State;
use crate::trace::Origin;
use crate::waits::Invocation;

/// What a handler can ask about the message that it handles.
///
/// Take it as `ctx: &Context`, after the payload, in any order with `State<T>`.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// use bus::Context;
///
/// let bus = bus::Builder::new()
///     .register_listener("order_paid", |cents: u32, ctx: &Context| {
///         assert_eq!((ctx.exchange(), ctx.key(), ctx.attempt()), ("bus", "order_paid", 1));
///         println!("{cents} cents, {}, {}", ctx.id(), ctx.idempotency_key());
///         // It goes on the same bus, and knows what caused it.
///         drop(ctx.bus().fire_event("receipt_wanted", cents));
///     })
///     .register_listener("receipt_wanted", |ctx: &Context| {
///         assert_eq!(ctx.causation_id(), Some(ctx.correlation_id()));
///     })
///     .build()?;
/// bus.fire_event("order_paid", 700).handled().wait()?.ok()?;
/// bus.settle();
/// assert_eq!(bus.stats().retrying, 0); // nothing has failed
/// bus.shutdown()?;
/// # Ok::<(), bus::Error>(())
/// ```
#[derive(Clone)]
pub struct Context {
    bus: Bus,
    site: Site,
    message: MessageRef,
    slot: u32,
    attempt: u32,
    deadline: Option<Instant>,
    inline: bool,
}

#[derive(Clone)]
enum Site {
    Handler(Arc<Binding>),
    Lifecycle(Arc<Service>),
}

/// What a handler handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An event.
    Event,
    /// A command, executed or dispatched.
    Command,
    /// The start or the end of a service: its `#[init]` or `#[shutdown]`.
    Lifecycle,
}

impl Context {
    pub(crate) fn of_handler(bus: Bus, delivery: Delivery, inline: bool) -> Self {
        let Delivery { binding, message, slot, attempt } = delivery;
        let deadline = binding.policy.timeout.map(|limit| bus.clock().after(limit));
        Self { bus, site: Site::Handler(binding), message, slot, attempt, deadline, inline }
    }

    pub(crate) fn of_service(bus: Bus, service: Arc<Service>) -> Self {
        let message = MessageRef::new(Lifecycle(Head::new(&bus, Deliveries::NONE)));
        Self {
            bus,
            site: Site::Lifecycle(service),
            message,
            slot: 0,
            attempt: 1,
            deadline: None,
            inline: false,
        }
    }

    /// The bus that runs the handler.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The name of the service that the handler belongs to.
    pub fn service(&self) -> &str {
        match &self.site {
            Site::Handler(binding) => &binding.service.name,
            Site::Lifecycle(service) => &service.name,
        }
    }

    /// The handler's name: a listener's as [`Outcome`](crate::Outcome) tells it, a command's as it is
    /// called; in `#[init]` and `#[shutdown]` the service's.
    pub fn handler(&self) -> &str {
        match &self.site {
            Site::Handler(binding) => &binding.name,
            Site::Lifecycle(service) => &service.name,
        }
    }

    /// What is handled.
    pub fn kind(&self) -> Kind {
        match &self.site {
            Site::Handler(_) if self.message.route().is_some() => Kind::Event,
            Site::Handler(_) => Kind::Command,
            Site::Lifecycle(_) => Kind::Lifecycle,
        }
    }

    /// The exchange that the event was fired on; empty for a command.
    pub fn exchange(&self) -> &str {
        self.message.subject().0
    }

    /// The routing key that the event was fired with, or the command's name.
    pub fn key(&self) -> &str {
        self.message.subject().1
    }

    /// The message's id (CloudEvents `id`): unique, and the same on every attempt.
    pub fn id(&self) -> String {
        self.lineage().id(self.message.head().seq)
    }

    fn lineage(&self) -> Lineage<'_> {
        Lineage::of(&self.bus, self.message.head())
    }

    /// What the message travelled in, if it came from elsewhere.
    fn envelope(&self) -> Option<&Envelope> {
        self.lineage().envelope(self.message.head().seq)
    }

    /// When the message was sent (CloudEvents `time`).
    pub fn time(&self) -> SystemTime {
        self.message.head().time(|| self.bus.clock().time())
    }

    /// The message's headers; empty for one that did not travel.
    pub fn headers(&self) -> &Headers {
        self.envelope().map_or(Headers::none(), |envelope| &envelope.headers)
    }

    /// Which attempt this is, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether the message may have been handled before, by this listener: in an earlier attempt,
    /// whose outcome a broker may not have learnt.
    pub fn redelivered(&self) -> bool {
        self.attempt > 1 || self.envelope().is_some_and(|envelope| envelope.redelivered)
    }

    /// A key that is the same on every attempt of this listener for this message, and on no other:
    /// keep it with the effect, to have the effect once.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}", self.id(), self.handler())
    }

    /// The id of the first message in the chain of causes; the message's own if it is the first.
    pub fn correlation_id(&self) -> String {
        self.lineage().correlation_id()
    }

    /// The id of the message whose handler sent this one.
    pub fn causation_id(&self) -> Option<String> {
        match self.envelope() {
            Some(envelope) => envelope.causation_id.clone(),
            None => self.message.head().cause().map(|cause| self.lineage().id(cause.seq)),
        }
    }

    /// Names this attempt to whatever it calls: a `traceparent` of W3C Trace Context, version 00.
    ///
    /// Its trace is the same along a chain of causes, its span is that of this attempt alone.
    pub fn traceparent(&self) -> String {
        let (seq, slot) = self.invocation();
        self.lineage().traceparent(Origin { seq, slot, attempt: self.attempt })
    }

    /// The [`traceparent`](Self::traceparent) of the attempt that sent this message.
    pub fn causation_traceparent(&self) -> Option<String> {
        match self.envelope() {
            Some(envelope) => envelope.traceparent.clone(),
            None => self.message.head().cause().map(|cause| self.lineage().traceparent(cause)),
        }
    }

    /// Whether the handler is asked to stop: its caller cancelled, its timeout has passed, or the bus
    /// is shutting down and four fifths of the time for that are over. A long handler looks now and
    /// then, and stops.
    ///
    /// Not earlier in a shutdown, since what was accepted is to be finished; and not later, so that a
    /// handler which stops does so before it is left behind. What `#[shutdown]` does is always wanted
    /// before the deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// # use autobus_core as bus;
    /// use bus::{Context, Failure, Promise};
    ///
    /// let bus = bus::Builder::new()
    ///     .register_command("count", |ctx: &Context| (0_u64..).find(|_| ctx.cancelled()))
    ///     .build()?;
    /// let count: Promise<Option<u64>, Failure> = bus.execute_command("count", ());
    /// count.cancel(); // else it counts until the bus asks it to stop
    /// bus.shutdown()?;
    /// # Ok::<(), bus::Error>(())
    /// ```
    pub fn cancelled(&self) -> bool {
        let stops = match &self.site {
            Site::Handler(_) => &self.bus.0.late,
            Site::Lifecycle(_) => &self.bus.0.aborting,
        };
        self.message.call().is_some_and(crate::message::Caller::is_cancelled)
            || self.deadline.is_some_and(|deadline| self.bus.clock().now() >= deadline)
            || stops.load(Ordering::Acquire)
    }

    pub(crate) fn message(&self) -> &MessageRef {
        &self.message
    }

    pub(crate) fn service_ref(&self) -> &Arc<Service> {
        match &self.site {
            Site::Handler(binding) => &binding.service,
            Site::Lifecycle(service) => service,
        }
    }

    pub(crate) fn invocation(&self) -> Invocation {
        (self.message.head().seq, self.slot)
    }

    pub(crate) fn is_inline(&self) -> bool {
        self.inline
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn binding(&self) -> Option<&Arc<Binding>> {
        match &self.site {
            Site::Handler(binding) => Some(binding),
            Site::Lifecycle(_) => None,
        }
    }

    /// The payload as an `X`: itself, by a declared upcast, or through the codec.
    pub(crate) fn payload<X: Send + Sync + 'static>(&self) -> Result<Held<X>, Failure> {
        if let Some(held) = Held::fired(&self.message) {
            return Ok(held);
        }
        let binding = self.binding().ok_or_else(|| Failure::internal("no payload here"))?;
        let wanted = binding
            .payload
            .as_ref()
            .ok_or_else(|| Failure::internal("the listener takes no payload"))?;
        convert(&self.bus, &self.message, wanted)
    }
}

/// The payload of `message` as the `X` that `wanted` describes: itself, by a declared upcast, or
/// through the codec.
pub(crate) fn convert<X: Send + Sync + 'static>(
    bus: &Bus,
    message: &MessageRef,
    wanted: &PayloadDescriptor,
) -> Result<Held<X>, Failure> {
    if let Some(held) = Held::fired(message) {
        return Ok(held);
    }
    let (exchange, key) = message.subject();
    let declared = bus.upcasts().declared(exchange, key);
    let payload = message.payload();

    // A value in hand, or one that its key says the type of, takes the declared upcast.
    let from = type_of(&payload).or_else(|| declared.map(|event| (event.payload.type_id)()));
    let path = from
        .filter(|from| *from != (wanted.type_id)())
        .and_then(|from| bus.upcasts().path(from, (wanted.type_id)()));
    let value = match (payload, path) {
        (Payload::Typed(value), Some(path)) => path.apply(value)?,
        (Payload::Encoded(body), Some(path)) => {
            let event = declared.ok_or_else(|| Failure::internal("no declared event"))?;
            let old = decode_as(&event.payload, body)?;
            path.apply(&*old)?
        }
        (Payload::Encoded(body), None) => decode_as(wanted, body)?,
        (Payload::Typed(value), None) => {
            let body = match declared {
                Some(event) => encode_as(&event.payload, value),
                None => message.encode(),
            };
            decode_as(wanted, &body.map_err(|error| Failure::undecodable(&error))?)?
        }
    };
    let value = value.downcast::<X>();
    value.map(Held::own).map_err(|_| Failure::internal("the payload became another type"))
}

fn decode_as(
    payload: &PayloadDescriptor,
    body: &[u8],
) -> Result<Box<dyn std::any::Any + Send>, Failure> {
    let decode = payload.codec.decode.ok_or_else(|| {
        let name = (payload.type_name)();
        let text = format!("`{name}` has no codec; derive `Deserialize` for it");
        Failure::undecodable(&crate::error::CodecError::new("", text))
    })?;
    decode(body).map_err(|error| Failure::undecodable(&error))
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("service", &self.service())
            .field("exchange", &self.exchange())
            .field("key", &self.key())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// Starting or stopping a service.
struct Lifecycle(Head);

impl Message for Lifecycle {
    fn head(&self) -> &Head {
        &self.0
    }

    fn subject(&self) -> (&str, &str) {
        ("", "")
    }

    fn payload(&self) -> Payload<'_> {
        Payload::Encoded(b"null")
    }

    fn encode(&self) -> Result<Vec<u8>, crate::error::CodecError> {
        Ok(b"null".to_vec())
    }
}

/// A further parameter of a handler, taken by value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a further parameter of a handler",
    label = "neither `State<T>` nor `&Context`",
    note = "a listener takes one payload, first; after it come `&Context` and `State<T>`"
)]
pub trait Param: Sized {
    /// Notes what it wants.
    fn need(needs: &mut Needs);
    /// Supplies it.
    ///
    /// # Errors
    ///
    /// If the bus does not have it, which `start()` rules out.
    fn get(ctx: &Context) -> Result<Self, Failure>;
}

impl<T: Send + Sync + 'static> Param for State<T> {
    fn need(needs: &mut Needs) {
        needs.state::<T>();
    }

    fn get(ctx: &Context) -> Result<Self, Failure> {
        ctx.bus.states().get::<T>().ok_or_else(|| {
            let name = std::any::type_name::<T>();
            Failure::internal(format!("the bus has no state `{name}`"))
        })
    }
}

/// A further parameter of a handler, taken by reference.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` cannot be a further parameter of a handler",
    label = "neither `State<T>` nor `&Context`",
    note = "a listener takes one payload, first; after it come `&Context` and `State<T>`"
)]
pub trait ParamRef {
    /// Notes what it wants.
    fn need(needs: &mut Needs);
    /// Supplies it.
    fn get(ctx: &Context) -> &Self;
}

impl ParamRef for Context {
    fn need(needs: &mut Needs) {
        needs.context();
    }

    fn get(ctx: &Context) -> &Self {
        ctx
    }
}
