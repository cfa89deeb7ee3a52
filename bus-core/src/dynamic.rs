//! Commands and listeners that are registered while the program runs: closures.
//!
//! They run on the thread of a service of their own, `bus.closures`. Parameters and answers go through
//! the codec, but for an event that is fired in this process as the type that the closure borrows.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use event_listener::{Event as Notify, EventListener};

use crate::binding::{Binding, Counts, Policy};
use crate::bus::Bus;
use crate::catalog::Catalog;
use crate::closure::{Closure, CommandFn, ListenerFn};
use crate::error::{CodecError, Error, ErrorKind, Result};
use crate::event::Topic;
use crate::execute_error::ExecuteError;
use crate::failure::Failure;
use crate::handler::{Access, Options, Place};
use crate::message::{CallFault, Caller, Head, Message, Payload};
use crate::name;
use crate::promise::{Answered, Slot};
use crate::remote::{Arrival, Consumer, Lent, Source};
use crate::service::Service;
use crate::table::{ByName, Command};
use crate::transport::{Queue, Subscription};

/// The service of closures.
pub(crate) const SERVICE: &str = "bus.closures";

/// What a bus knows of closures.
#[derive(Default)]
pub(crate) struct Dynamic {
    /// Started with the first.
    service: Option<Arc<Service>>,
    /// How many listeners each pattern has had.
    patterns: HashMap<String, u64>,
}

/// A registration that was made at run time; dropping it takes it back.
///
/// Deliveries that were accepted before are still handled.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// let bus = bus::Builder::new().build()?;
/// let guard = bus.register_listener("tick", |count: u32| println!("{count}"))?;
/// assert!(bus.fire_event("tick", 1).wait()?.routed);
/// drop(guard);
/// assert!(!bus.fire_event("tick", 2).wait()?.routed);
///
/// bus.register_listener("tick", |count: u32| println!("{count}"))?.keep();
/// assert!(bus.fire_event("tick", 3).wait()?.routed);
/// bus.shutdown()?;
/// # Ok::<(), bus::Error>(())
/// ```
#[must_use = "dropping the guard takes the registration back"]
pub struct Registration {
    bus: std::sync::Weak<crate::bus::Shared>,
    what: Option<Registered>,
    /// What it consumes over a transport, until the bus stops.
    subscriptions: Option<Arc<Lent>>,
}

pub(crate) enum Registered {
    Command(Arc<Command>),
    Listener(Arc<Binding>, Vec<(String, String)>),
}

impl Registration {
    pub(crate) fn new(bus: &Bus, what: Registered) -> Self {
        Self { bus: Arc::downgrade(&bus.0), what: Some(what), subscriptions: None }
    }

    /// Keeps the registration for as long as the bus lives.
    pub fn keep(mut self) {
        self.what = None;
        if let Some(remote) = self.bus.upgrade().as_ref().and_then(|shared| shared.remote.as_ref())
        {
            remote.keep(self.subscriptions.take().into_iter().flat_map(|lent| lent.take()));
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.subscriptions = None;
        let (Some(shared), Some(what)) = (self.bus.upgrade(), self.what.take()) else {
            return;
        };
        let bus = Bus(shared);
        let mut table = bus.table_mut();
        match &what {
            Registered::Command(command) => table.unserve(command),
            Registered::Listener(binding, keys) => {
                for (exchange, pattern) in keys {
                    table.unbind(exchange, pattern, binding);
                }
            }
        }
        // With it goes what the closure owns, which may use the bus when it is dropped.
        drop(table);
        drop(what);
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match &self.what {
            Some(Registered::Command(command)) => command.name.to_string(),
            Some(Registered::Listener(binding, _)) => binding.name.to_string(),
            None => "kept".to_owned(),
        };
        f.debug_tuple("Registration").field(&what).finish()
    }
}

/// What a listener that is registered at run time hears.
///
/// A pattern alone finds its exchange as `#[listener]` does: the declared events of the payload's
/// type, else the exchange `bus` for one word. `("order", "order.#")` names exchange and pattern;
/// a topic, such as `Order::SUBMIT`, names one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pub(crate) exchange: Option<String>,
    pub(crate) pattern: String,
}

impl From<&str> for Pattern {
    fn from(pattern: &str) -> Self {
        Self { exchange: None, pattern: pattern.to_owned() }
    }
}

impl From<String> for Pattern {
    fn from(pattern: String) -> Self {
        Self { exchange: None, pattern }
    }
}

impl From<(&str, &str)> for Pattern {
    fn from((exchange, pattern): (&str, &str)) -> Self {
        Self { exchange: Some(exchange.to_owned()), pattern: pattern.to_owned() }
    }
}

impl<T> From<Topic<T>> for Pattern {
    fn from(topic: Topic<T>) -> Self {
        Self::from((topic.exchange(), topic.key()))
    }
}

/// A closure that waits for its bus.
pub(crate) enum Planned {
    Command(String, Closure),
    Listener(Pattern, Closure),
}

pub(crate) fn served_already(name: &str, place: Option<Place>) -> String {
    let mut text = format!("the command `{name}` is served already");
    if let Some(place) = place {
        let _ = write!(text, ", by {place}");
    }
    text
}

impl Pattern {
    /// The exchanges that a closure is bound to.
    pub(crate) fn exchanges(&self, catalog: &Catalog, closure: &Closure) -> Result<Vec<String>> {
        name::check_pattern(&self.pattern)?;
        if let Some(exchange) = &self.exchange {
            name::check_name(exchange)?;
            return Ok(vec![exchange.clone()]);
        }
        let type_id = closure.payload.as_ref().map(|payload| (payload.type_id)());
        catalog.exchanges_of(&self.pattern, type_id).map_err(|known| {
            let text = format!(
                "the exchange of the pattern `{}` cannot be told; name it: `(exchange, pattern)`; \
                 the exchanges are {}",
                self.pattern,
                name::list(known)
            );
            Error::new(ErrorKind::NotFound, text)
        })
    }
}

impl Bus {
    /// Serves a command with a closure, on the thread of the service `bus.closures`.
    ///
    /// It takes up to six serde types and, last, perhaps `&Context`; it returns a serde type, a
    /// `Result` of two, or a future of either. Dropping the guard takes the command back.
    ///
    /// # Errors
    ///
    /// `Name` for a name that is none; `Duplicate` if it is served already; `Closed` after shutdown.
    ///
    /// # Examples
    ///
    /// ```
    /// # use autobus_core as bus;
    /// use bus::ExecuteError;
    ///
    /// let bus = bus::Builder::new().build()?;
    /// let _add = bus.register_command("add", |a: u32, b: u32| a + b)?;
    /// let _half = bus.register_command("half", |number: u32| async move {
    ///     if number % 2 == 0 { Ok(number / 2) } else { Err("odd") }
    /// })?;
    ///
    /// let sum: u32 = bus.execute_command("add", (2, 3)).wait()?;
    /// assert_eq!(sum, 5);
    /// match bus.execute_command::<_, u32>("half", (sum,)).wait() {
    ///     Err(ExecuteError::Handler(failure)) => assert_eq!(failure.message(), "odd"),
    ///     other => panic!("{other:?}"),
    /// }
    /// bus.shutdown()?;
    /// # Ok::<(), bus::Error>(())
    /// ```
    pub fn register_command<M>(&self, name: &str, f: impl CommandFn<M>) -> Result<Registration> {
        self.register(Planned::Command(name.to_owned(), f.into_closure()))
    }

    /// Listens with a closure, on the thread of the service `bus.closures`.
    ///
    /// It takes the payload, by value or by reference (a text as `String`), or `&Context`, or both;
    /// it returns nothing, `Result<(), E>`, or a future of either. Dropping the guard ends it.
    ///
    /// # Errors
    ///
    /// `Name` for a pattern that is none; `NotFound` if no exchange can be told from it; `Closed`
    /// after shutdown.
    ///
    /// # Examples
    ///
    /// ```
    /// # use autobus_core as bus;
    /// use bus::Context;
    ///
    /// let bus = bus::Builder::new().build()?;
    /// let _one = bus.register_listener("user_registered", |name: String| println!("hello, {name}"))?;
    /// let _all = bus.register_listener(("bus", "#"), |ctx: &Context| println!("{}", ctx.key()))?;
    /// let outcomes = bus.fire_event("user_registered", "Alice").handled().wait()?;
    /// assert_eq!(outcomes.len(), 2);
    /// bus.shutdown()?;
    /// # Ok::<(), bus::Error>(())
    /// ```
    pub fn register_listener<M>(
        &self,
        pattern: impl Into<Pattern>,
        f: impl ListenerFn<M>,
    ) -> Result<Registration> {
        self.register(Planned::Listener(pattern.into(), f.into_closure()))
    }

    pub(crate) fn register(&self, planned: Planned) -> Result<Registration> {
        let service = self.dynamic_service()?;
        let what = match planned {
            Planned::Command(name, closure) => {
                self.register_one_command(&name, closure, &service)?
            }
            Planned::Listener(pattern, closure) => {
                self.register_one_listener(&pattern, closure, &service)?
            }
        };
        let mut registration = Registration::new(self, what);
        let subscriptions = self.consume_closure(registration.what.as_ref())?;
        registration.subscriptions =
            self.0.remote.as_ref().map(|remote| remote.lend(subscriptions));
        Ok(registration)
    }

    /// Consumes what a closure hears or serves; later, if the bus is not open yet.
    fn consume_closure(&self, what: Option<&Registered>) -> Result<Vec<Subscription>> {
        let (Some(remote), Some(what)) = (&self.0.remote, what) else { return Ok(Vec::new()) };
        let source = match what {
            Registered::Command(command) => Source::Command(command.clone()),
            Registered::Listener(binding, keys) => {
                let keys = keys.iter().map(|(exchange, pattern)| (&**exchange, &**pattern));
                let bindings = crate::remote::bindings(self.catalog(), keys);
                if bindings.is_empty() {
                    return Ok(Vec::new());
                }
                // Of this process alone: nobody else knows the closure.
                Source::Listener(Queue::broadcast(&*binding.name, bindings), binding.clone())
            }
        };
        let consumer = Consumer { source, prefetch: None };
        if self.0.gate.is_open() {
            return self.consume(vec![consumer]);
        }
        remote.plan([consumer]);
        Ok(Vec::new())
    }

    fn register_one_command(
        &self,
        name: &str,
        closure: Closure,
        service: &Arc<Service>,
    ) -> Result<Registered> {
        name::check_name(name)?;
        let binding = self.bind_closure(name.into(), closure, service);
        let by_name = Some(ByName::Closure);
        let command = Arc::new(Command { name: name.into(), binding, by_name });
        if let Err(taken) = self.table_mut().serve(command.clone()) {
            return Err(Error::new(
                ErrorKind::Duplicate,
                served_already(name, taken.binding.place),
            ));
        }
        Ok(Registered::Command(command))
    }

    fn register_one_listener(
        &self,
        pattern: &Pattern,
        closure: Closure,
        service: &Arc<Service>,
    ) -> Result<Registered> {
        let exchanges = pattern.exchanges(self.catalog(), &closure)?;
        let name = self.name_listener(&pattern.pattern);
        let binding = self.bind_closure(name.into(), closure, service);
        let keys: Vec<(String, String)> =
            exchanges.into_iter().map(|exchange| (exchange, pattern.pattern.clone())).collect();
        let mut table = self.table_mut();
        for (exchange, pattern) in &keys {
            table.bind(exchange, pattern, &binding);
        }
        Ok(Registered::Listener(binding, keys))
    }

    fn bind_closure(
        &self,
        name: Arc<str>,
        closure: Closure,
        service: &Arc<Service>,
    ) -> Arc<Binding> {
        Arc::new(Binding {
            name,
            service: service.clone(),
            place: None,
            plain: None,
            code: closure.code,
            access: Access::Stateless,
            inline: false,
            policy: Policy::new(&Options::DEFAULT, &self.0.defaults),
            payload: closure.payload,
            shared: false,
            wants_context: true,
            counts: Counts::default(),
        })
    }

    fn dynamic(&self) -> MutexGuard<'_, Dynamic> {
        self.0.dynamic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No two listeners have one name: outcomes, dead letters and idempotency keys go by it.
    fn name_listener(&self, pattern: &str) -> String {
        let mut dynamic = self.dynamic();
        let count = dynamic.patterns.entry(pattern.to_owned()).or_default();
        *count += 1;
        match *count {
            1 => format!("{SERVICE}.{pattern}"),
            count => format!("{SERVICE}.{pattern} ({count})"),
        }
    }

    /// The service of closures; started with the first.
    fn dynamic_service(&self) -> Result<Arc<Service>> {
        let mut dynamic = self.dynamic();
        // Held until the service is among the others, so that a shutdown finds it there.
        let mut table = self.table_mut();
        if !table.accepts(|| crate::current::is_inside(self)) {
            return Err(Error::closed());
        }
        if let Some(service) = &dynamic.service {
            return Ok(service.clone());
        }
        let bound = self.0.defaults.mailbox;
        let service = Arc::new(Service::new(SERVICE.into(), self.clock(), bound, None));
        // Before the bus is open, the service starts with the others.
        if self.0.gate.is_open() {
            crate::lifecycle::start_one(self, &service)?;
        }
        table.services.push(service.clone());
        dynamic.service = Some(service.clone());
        Ok(service)
    }
}

/// A call of a closure: arguments and answer are JSON.
pub(crate) struct EncodedCall {
    head: Head,
    binding: Arc<Binding>,
    body: Vec<u8>,
    /// A transport brought it.
    arrival: Option<Arrival>,
    /// Nobody waits for the answer, and it is tried again: a task.
    is_task: bool,
    answer: Slot<Vec<u8>, Failure>,
    cancelled: AtomicBool,
    cancel: Notify,
}

impl EncodedCall {
    pub(crate) fn new(head: Head, command: &Command, body: Vec<u8>) -> Self {
        Self {
            head,
            binding: command.binding.clone(),
            body,
            arrival: None,
            is_task: false,
            answer: Slot::default(),
            cancelled: AtomicBool::new(false),
            cancel: Notify::new(),
        }
    }

    /// The same for a task.
    pub(crate) fn task(head: Head, command: &Command, body: Vec<u8>) -> Self {
        Self { is_task: true, ..Self::new(head, command, body) }
    }

    /// The same for a task that a transport brought.
    pub(crate) fn arrived(head: Head, command: &Command, arrival: Arrival) -> Self {
        Self { arrival: Some(arrival), ..Self::task(head, command, Vec::new()) }
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.arrival.as_ref().map_or(&self.body, |arrival| &arrival.envelope.body)
    }

    pub(crate) fn answer(&self, answer: Result<Vec<u8>, ExecuteError<Failure>>) {
        self.answer.fill(answer);
    }
}

impl Message for EncodedCall {
    fn head(&self) -> &Head {
        &self.head
    }

    fn subject(&self) -> (&str, &str) {
        ("", &self.binding.name)
    }

    fn payload(&self) -> Payload<'_> {
        Payload::Encoded(self.body())
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        Ok(self.body().to_vec())
    }

    fn arrival(&self) -> Option<&Arrival> {
        self.arrival.as_ref()
    }

    fn handler(&self) -> Option<&Arc<Binding>> {
        Some(&self.binding)
    }

    fn call(&self) -> Option<&dyn Caller> {
        if self.is_task { None } else { Some(self) }
    }
}

impl Caller for EncodedCall {
    fn fail(&self, why: CallFault) {
        self.answer.fill(Err(why.into()));
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.cancel.notify(usize::MAX);
        self.answer.fill(Err(ExecuteError::Cancelled));
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    fn listen_cancelled(&self) -> EventListener {
        self.cancel.listen()
    }
}

impl Answered<Vec<u8>, Failure> for EncodedCall {
    fn slot(&self) -> &Slot<Vec<u8>, Failure> {
        &self.answer
    }
}
