//! Sending: firing events, executing and dispatching commands.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::binding::Binding;
use crate::bus::Bus;
use crate::call::{Call, Spec, Task};
use crate::codec;
use crate::current::{self, Home};
use crate::delivery::Delivery;
use crate::direct::{Called, Stopped};
use crate::dynamic::EncodedCall;
use crate::error::{CodecError, Error, ErrorKind, Result};
use crate::event::{Event, EventDescriptor, Topic};
use crate::execute_error::ExecuteError;
use crate::failure::Failure;
use crate::handler::Instance;
use crate::message::{Deliveries, Encoded, Firing, Head, MessageRef, encode_as};
use crate::name;
use crate::promise::Promise;
use crate::receipt::{Receipt, Ticket, Unread};
use crate::router::{Group, Route, Target};
use crate::routes::{self, Way};
use crate::service::{Entry, Limit, Service};
use crate::table::{ByName, Command, Table};

/// That a mailbox is at its bound, with the event that was not fired.
#[derive(Clone, PartialEq, Eq)]
pub struct Full<E>(
    /// The event.
    pub E,
);

impl<E> std::fmt::Debug for Full<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<E> std::fmt::Display for Full<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a receiving mailbox is at its bound")
    }
}

impl<E> std::error::Error for Full<E> {}

impl<E: Send + Sync + 'static> From<Full<E>> for Error {
    fn from(full: Full<E>) -> Self {
        Self::new(ErrorKind::Full, full.to_string()).with_event(full.0)
    }
}

/// That inline handlers run on this thread, so that a shutdown waits for them. Begun while the table
/// is held, so that a bus which drains knows of it.
pub(crate) struct Inline(Bus);

impl Inline {
    fn new(bus: &Bus) -> Self {
        bus.0.inline.fetch_add(1, Ordering::AcqRel);
        Self(bus.clone())
    }
}

impl Drop for Inline {
    fn drop(&mut self) {
        if self.0.0.inline.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.0.inline_done.notify(usize::MAX);
        }
    }
}

/// What became of the enqueues of one message. Looked at once the table is free again, since it
/// may log, and whoever listens to the log may use the bus.
#[derive(Default)]
struct Sent {
    over: Vec<Ticket>,
    refused: Refused,
}

/// What mailboxes did not take.
type Refused = Vec<(Arc<Service>, Entry)>;

impl Sent {
    fn push(&mut self, bus: &Bus, service: &Arc<Service>, entry: Entry, deliveries: usize) {
        match service.accept(bus, entry, deliveries) {
            Ok(None) => {}
            Ok(Some(number)) => {
                self.over.push(Ticket::new(service, number));
            }
            Err(entry) => self.refused.push((service.clone(), entry)),
        }
    }

    fn settle(self, bus: &Bus) -> Vec<Ticket> {
        bus.settle_sent(&self.over, self.refused);
        self.over
    }
}

impl Bus {
    /// Fires the struct's first event, moving the payload. Never blocks.
    pub fn fire<E: Event>(&self, event: E) -> Receipt {
        self.fire_as(E::EVENT, event)
    }

    /// Fires one of the struct's events, moving the payload. Never blocks.
    pub fn fire_as<E: Event>(&self, topic: Topic<E>, event: E) -> Receipt {
        let descriptor = topic.descriptor();
        match routes::way::<E>(self, descriptor) {
            Way::Direct(direct) => match direct.fire(self, &event) {
                Called::Heard(by) => return Receipt::heard(by),
                Called::Stopped(stopped) => return self.go_on(event, *stopped),
                Called::Not => {}
            },
            Way::Passage(passage, quiet) => {
                return passage.fire(self, descriptor, event, quiet);
            }
            Way::Around => {}
        }
        self.fire_by_table(descriptor, event)
    }

    pub(crate) fn fire_by_table<E: Event>(
        &self,
        descriptor: &'static EventDescriptor,
        event: E,
    ) -> Receipt {
        match self.publish(descriptor, event, Limit::Hard) {
            Ok(receipt) => receipt,
            Err((error, event)) => self.refused(descriptor, error, event),
        }
    }

    /// The receipt of an event that was refused: it is read, or the event is kept.
    fn refused<E: Event>(
        &self,
        descriptor: &'static EventDescriptor,
        error: Error,
        event: E,
    ) -> Receipt {
        let bus = self.clone();
        let keep = move |error: Error| {
            if let Ok(event) = error.into_event::<E>() {
                bus.keep_unsent(descriptor.exchange, descriptor.key, |head, route| {
                    MessageRef::new(Firing::new(head, route, event))
                });
            }
        };
        let unread = (error.kind() == ErrorKind::Full).then(|| Unread::new(keep));
        Receipt::refused_unless_read(error.with_event(event), unread)
    }

    /// Makes a dead letter of what was refused by a mailbox far over its bound and taken back by
    /// nobody, for every listener that it would have gone to.
    fn keep_unsent(
        &self,
        exchange: &str,
        key: &str,
        message: impl FnOnce(Head, Arc<Route>) -> MessageRef,
    ) {
        let route = self.route(exchange, key);
        let head = Head::new(self, route.deliveries);
        self.stamp(&head, route.wants_context);
        let message = message(head, route.clone());
        for (slot, binding) in (0..).zip(route.bindings()) {
            let (binding, message) = (binding.clone(), message.clone());
            Delivery { binding, message, slot, attempt: 0 }.die(self, Failure::full());
        }
    }

    /// Fires the struct's first event, unless a receiving mailbox is at its bound. Never blocks.
    ///
    /// # Errors
    ///
    /// [`Full`] with the event. Any other refusal is the receipt's.
    ///
    /// # Examples
    ///
    /// ```
    /// # use autobus_core as bus;
    /// use std::sync::mpsc;
    ///
    /// struct Order(u64); // an event
    /// # static SUBMIT: bus::private::EventDescriptor = bus::private::EventDescriptor {
    /// #     place: bus::private::place!(),
    /// #     exchange: "order",
    /// #     key: "order.submit",
    /// #     payload: bus::private::PayloadDescriptor::local::<Order>(),
    /// #     upcasts: &[],
    /// #     local: true,
    /// # };
    /// # impl bus::Event for Order {
    /// #     const EVENT: bus::Topic<Self> = bus::Topic::new(&SUBMIT);
    /// # }
    ///
    /// let (release, held) = mpsc::channel::<()>();
    /// let held = std::sync::Mutex::new(held);
    /// let bus = bus::Builder::new()
    ///     .mailbox(1)
    ///     .register_listener(("order", "#"), move |_: &bus::Context| {
    ///         let _ = held.lock().map(|held| held.recv());
    ///     })
    ///     .build()?;
    ///
    /// let mut orders = (1..).map(Order);
    /// let full = orders.by_ref().find_map(|order| bus.try_fire(order).err());
    /// let refused = full.map(|full| full.0.0);
    /// assert!(matches!(refused, Some(2 | 3)), "one waits, and one may be with the listener");
    /// drop(release);
    /// bus.shutdown()?;
    /// # Ok::<(), bus::Error>(())
    /// ```
    pub fn try_fire<E: Event>(&self, event: E) -> Result<Receipt, Full<E>> {
        match self.publish(E::EVENT.descriptor(), event, Limit::Bound) {
            Ok(receipt) => Ok(receipt),
            Err((error, event)) if error.kind() == ErrorKind::Full => Err(Full(event)),
            Err((error, event)) => Ok(self.refused(E::EVENT.descriptor(), error, event)),
        }
    }

    /// Fires an event by name, on the exchange `bus`; the payload goes through the codec.
    ///
    /// A name that is no routing key and a payload that cannot be encoded fail the receipt.
    ///
    /// # Examples
    ///
    /// ```
    /// # use autobus_core as bus;
    /// let bus = bus::Builder::new().build()?;
    /// assert!(!bus.fire_event("user_registered", "Alice").wait()?.routed); // nobody listens
    /// let error = bus.fire_event("user.*", "Alice").wait().unwrap_err();
    /// assert_eq!(error.kind(), bus::ErrorKind::Name);
    /// bus.shutdown()?;
    /// # Ok::<(), bus::Error>(())
    /// ```
    pub fn fire_event(&self, name: &str, payload: impl Serialize) -> Receipt {
        let checked = name::check_key(name).map_err(Error::from);
        let body = checked.and_then(|()| {
            codec::encode(&payload).map_err(|error| {
                Error::new(ErrorKind::Codec, format!("the event `{name}` cannot be encoded"))
                    .with_source(error)
            })
        });
        let body = match body {
            Ok(body) => body,
            Err(error) => return Receipt::refused(error),
        };
        let exchange = name::DEFAULT_EXCHANGE;
        let encoded = |head, route, key, body| {
            let exchange = exchange.into();
            MessageRef::new(Encoded { head, route, exchange, key, body })
        };
        if let Some(remote) = &self.0.remote {
            let sent = remote.fire(self, (exchange, name), (), Limit::Hard, |()| Ok(body));
            return sent.unwrap_or_else(|(error, ())| Receipt::refused(error));
        }
        let key: Arc<str> = name.into();
        let find = |table: &Table| table.remembered(exchange, name).cloned();
        let sent = self.send(exchange, name, find, body, Limit::Hard, |head, route, body| {
            encoded(head, route, key.clone(), body)
        });
        sent.unwrap_or_else(|(error, body)| {
            let bus = self.clone();
            let unread = (error.kind() == ErrorKind::Full).then(|| {
                Unread::new(move |_| {
                    bus.keep_unsent(exchange, &key, |head, route| {
                        encoded(head, route, key.clone(), body)
                    });
                })
            });
            Receipt::refused_unless_read(error, unread)
        })
    }

    /// Fires one of the bus's own events, if somebody listens to it, in what comes with it.
    pub(crate) fn announce<E: Event, I>(&self, event: impl FnOnce() -> (E, I)) {
        let descriptor = E::EVENT.descriptor();
        if !self.route(descriptor.exchange, descriptor.key).is_empty() {
            let (event, _inside) = event();
            drop(self.fire(event));
        }
    }

    /// The listeners of a key.
    pub(crate) fn route(&self, exchange: &str, key: &str) -> Arc<Route> {
        loop {
            if let Some(route) = self.table().remembered(exchange, key) {
                return route.clone();
            }
            self.remember(exchange, key);
        }
    }

    fn publish<E: Event>(
        &self,
        descriptor: &'static EventDescriptor,
        event: E,
        limit: Limit,
    ) -> Result<Receipt, (Error, E)> {
        if let Some(remote) = self.0.remote.as_ref().filter(|_| !descriptor.local) {
            let address = (descriptor.exchange, descriptor.key);
            return remote
                .fire(self, address, event, limit, |event| encode_as(&descriptor.payload, event));
        }
        let (exchange, key) = (descriptor.exchange, descriptor.key);
        let find = |table: &Table| {
            routes::of(self, descriptor, || table.remembered(exchange, key).cloned())
        };
        self.send(exchange, key, find, event, limit, |head, route, event| {
            MessageRef::new(Firing::new(head, route, event))
        })
    }

    /// Gives a payload to every listener of a key, or gives it back.
    fn send<P>(
        &self,
        exchange: &str,
        key: &str,
        find: impl Fn(&Table) -> Option<Arc<Route>>,
        payload: P,
        limit: Limit,
        message: impl FnOnce(Head, Arc<Route>, P) -> MessageRef,
    ) -> Result<Receipt, (Error, P)> {
        // Whether it is taken, by whom, and that it is enqueued, all under one hold of the table.
        let (table, route) = loop {
            let table = self.table();
            if !table.accepts(|| current::is_inside(self)) {
                return Err((Error::closed(), payload));
            }
            if let Some(route) = find(&table) {
                break (table, route);
            }
            drop(table);
            self.remember(exchange, key);
        };
        let full = route.groups.iter().find(|to| !to.service.has_room(limit, to.targets.len()));
        if let Some(group) = full {
            let text = format!("the mailbox of service `{}` is full", group.service.name);
            return Err((Error::new(ErrorKind::Full, text), payload));
        }
        self.0.fired.fetch_add(1, Ordering::Relaxed);
        let head = Head::new(self, route.deliveries);
        let testing = self.0.testing.as_ref();
        self.stamp(&head, route.wants_context || testing.is_some());
        let message = message(head, route.clone(), payload);
        if let Some(testing) = testing {
            testing.capture(&message);
        }
        let mut sent = Sent::default();
        for Group { service, targets, whole, .. } in &route.groups {
            sent.push(self, service, Entry::First(message.clone(), *whole), targets.len());
        }
        let _inline = (!route.inline.is_empty()).then(|| Inline::new(self));
        // What follows may run code of the user, which may fire and register in its turn.
        drop(table);
        if route.is_empty() {
            self.0.unrouted.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(exchange, key, "an event has no listener");
        }
        for target in &route.inline {
            self.run_inline(target, &message, &mut sent);
        }
        Ok(Receipt::enqueued(self, message, sent.settle(self)))
    }

    /// Notes the time at which a message is sent, if a handler or a layer may ask for it.
    #[inline]
    pub(crate) fn stamp(&self, head: &Head, wants_context: bool) {
        if wants_context || !self.layers().is_empty() {
            head.time(|| self.clock().time());
        }
    }

    /// Tells of mailboxes that are over their bound, and settles what others gave back.
    pub(crate) fn settle_sent(&self, over: &[Ticket], refused: Refused) {
        for ticket in over {
            if ticket.service.mailbox.note_overrun() {
                let (service, bound) = (&*ticket.service.name, ticket.service.mailbox.bound);
                let advice = "a mailbox is over its bound; wait for receipts to be held back";
                tracing::warn!(service, bound, "{advice}");
            }
        }
        for (service, entry) in refused {
            self.refuse(&service, entry);
        }
    }

    /// Settles what a closed mailbox gave back.
    pub(crate) fn refuse(&self, service: &Service, entry: Entry) {
        for delivery in entry.deliveries(service) {
            let why = || Failure::internal("the service has stopped");
            match delivery.message.call() {
                Some(caller) => caller.fail(crate::message::CallFault::Closed),
                None => delivery.unstarted().abandon(self, why()),
            }
        }
    }

    /// Counts an inline handler that runs on this thread.
    pub(crate) fn count_inline(&self) -> Inline {
        Inline::new(self)
    }

    /// Goes on with an event of which the listener at a place has failed: those before it are done.
    #[cold]
    fn go_on<E: Event>(&self, event: E, stopped: Stopped) -> Receipt {
        let Stopped { route, at, failure, seq, inline: _inline } = stopped;
        self.0.fired.fetch_add(1, Ordering::Relaxed);
        let seq = if seq == 0 { self.next_seq() } else { seq };
        let head = Head::numbered(self, route.deliveries, seq, current::is_quiet());
        let firing = Firing::new(head, route.clone(), event);
        let message = MessageRef::new(firing);
        let mut sent = Sent::default();
        let mut failure = Some(failure);
        for (index, target) in route.inline.iter().enumerate() {
            if index < at {
                target.delivery(&message, 1).conclude(self, Ok(()));
            } else if let Some(failure) = failure.take() {
                target.delivery(&message, 1).conclude(self, Err(failure));
            } else {
                self.run_inline(target, &message, &mut sent);
            }
        }
        Receipt::enqueued(self, message, sent.settle(self))
    }

    fn run_inline(&self, target: &Target, message: &MessageRef, sent: &mut Sent) {
        let Target { binding, slot } = target.clone();
        let delivery = Delivery { binding, message: message.clone(), slot, attempt: 1 };
        if current::may_inline() {
            let home = Home::new(self, &delivery.binding.service);
            if let Some(result) = delivery.attempt(&home, &Instance::NONE, current::Inline::Yes) {
                delivery.conclude(self, result);
            }
        } else {
            let service = delivery.binding.service.clone();
            sent.push(self, &service, Entry::one(delivery), 1);
        }
    }

    /// Executes command `C`.
    pub(crate) fn execute<C: Spec>(&self, args: C::Args) -> Promise<C::Ok, C::Err> {
        if C::DESCRIPTOR.handler.options.inline {
            if let Some(command) = routes::direct_command::<C>(self)
                && command.enter(self)
            {
                return Promise::ready(command.call(self, args));
            }
        } else if let Some((passage, binding, quiet)) = routes::command_passage::<C>(self) {
            return passage
                .call::<C>(self, binding, args, quiet)
                .unwrap_or_else(|args| self.execute_later::<C>(args));
        }
        self.execute_later::<C>(args)
    }

    fn execute_later<C: Spec>(&self, args: C::Args) -> Promise<C::Ok, C::Err> {
        let find = || self.table().linked(C::DESCRIPTOR).cloned();
        let command = routes::command(self, C::DESCRIPTOR, find);
        let elsewhere = self.0.remote.as_ref().zip(C::DESCRIPTOR.wire.as_ref());
        match (command, elsewhere) {
            (Ok(command), _) => {
                let wire = C::DESCRIPTOR.wire.as_ref().filter(|wire| !command.takes(wire));
                let Some(wire) = wire else {
                    routes::resolve_command::<C>(self, &command);
                    return self.call(Head::new(self, Deliveries::ONE), &command, args);
                };
                match (wire.types.encode_args)(&args) {
                    Ok(body) => self
                        .call_encoded(Head::new(self, Deliveries::ONE), &command, &body)
                        .map(|answer| wire.read::<C>(answer)),
                    Err(error) => Promise::ready(Err(ExecuteError::Codec(error))),
                }
            }
            (Err(unknown), Some((remote, wire))) => match (wire.types.encode_args)(&args) {
                Ok(body) => {
                    let limit = C::DESCRIPTOR.handler.options.timeout;
                    let limit = limit.unwrap_or(self.0.defaults.command_timeout);
                    let answer = remote.call(self, unknown, body, limit);
                    answer.map(|answer| wire.read::<C>(answer))
                }
                Err(error) => Promise::ready(Err(ExecuteError::Codec(error))),
            },
            (Err(unknown), None) => Promise::ready(Err(ExecuteError::NotFound(unknown))),
        }
    }

    /// Executes a command that is served here.
    pub(crate) fn call<A, T, E>(&self, head: Head, command: &Arc<Command>, args: A) -> Promise<T, E>
    where
        A: Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let call = triomphe::Arc::new(Call::new(head, command.binding.clone(), args));
        let deadline = self.deadline_of(&command.binding);
        let promise = Promise::of(call.clone(), deadline).driven_by(self);
        self.start(command, MessageRef::of(call));
        promise
    }

    /// When the answer of a call that is made now has to be there.
    pub(crate) fn deadline_of(&self, binding: &Binding) -> Instant {
        let limit = binding.policy.timeout.unwrap_or(self.0.defaults.command_timeout);
        self.clock().after(limit)
    }

    /// Brings a call to the service of its command.
    pub(crate) fn start(&self, command: &Arc<Command>, call: MessageRef) {
        let binding = &command.binding;
        self.stamp(call.head(), binding.wants_context);
        let table = self.table();
        if !table.accepts(|| current::is_inside(self)) {
            drop(table);
            if let Some(caller) = call.call() {
                caller.fail(crate::message::CallFault::Closed);
            }
            return;
        }
        if binding.inline && current::may_inline() {
            let _inline = Inline::new(self);
            drop(table);
            let delivery = Delivery::first(binding.clone(), call);
            let home = Home::new(self, &delivery.binding.service);
            if let Some(result) = delivery.attempt(&home, &Instance::NONE, current::Inline::Yes) {
                delivery.conclude(self, result);
            }
            return;
        }
        let mut sent = Sent::default();
        sent.push(self, &binding.service, Entry::call(call), 1);
        drop(table);
        sent.settle(self);
    }

    /// Runs command `C` without anybody waiting for its answer.
    pub(crate) fn dispatch<C: Spec>(&self, args: C::Args) -> Receipt {
        let command = self.table().linked(C::DESCRIPTOR).cloned();
        if let Some((remote, wire)) = self.0.remote.as_ref().zip(C::DESCRIPTOR.wire.as_ref()) {
            let name = match &command {
                Ok(command) => &*command.name,
                Err(unknown) => &*unknown.command,
            };
            return match (wire.types.encode_args)(&args) {
                Ok(body) => remote.dispatch(self, name, body),
                Err(error) => Receipt::refused(unkept(name, error)),
            };
        }
        let command = match command {
            Ok(command) => command,
            Err(unknown) => {
                return Receipt::refused(Error::new(ErrorKind::NotFound, unknown.to_string()));
            }
        };
        let task: Result<MessageRef, CodecError> = match &C::DESCRIPTOR.wire {
            Some(wire) if !command.takes(wire) => {
                if !matches!(command.by_name, Some(ByName::Closure)) {
                    let text = format!(
                        "the command `{}` is served with other types, and takes no tasks",
                        command.name
                    );
                    return Receipt::refused(Error::new(ErrorKind::Unsupported, text));
                }
                let task =
                    |body| EncodedCall::task(Head::new(self, Deliveries::ONE), &command, body);
                (wire.types.encode_args)(&args).map(|body| MessageRef::new(task(body)))
            }
            _ => {
                let task =
                    Task::new::<C>(Head::new(self, Deliveries::ONE), command.binding.clone(), args);
                task.map(MessageRef::new)
            }
        };
        let task = match task {
            Ok(task) => task,
            Err(error) => return Receipt::refused(unkept(&command.name, error)),
        };
        let service = &command.binding.service;
        self.stamp(task.head(), command.binding.wants_context);
        let table = self.table();
        if !table.accepts(|| current::is_inside(self)) {
            return Receipt::refused(Error::closed());
        }
        if !service.has_room(Limit::Hard, 1) {
            let text = format!("the mailbox of service `{}` is full", service.name);
            let unsent = Delivery::first(command.binding.clone(), task).unstarted();
            let bus = self.clone();
            let unread = Unread::new(move |_| unsent.die(&bus, Failure::full()));
            return Receipt::refused_unless_read(Error::new(ErrorKind::Full, text), Some(unread));
        }
        let mut sent = Sent::default();
        sent.push(self, service, Entry::call(task.clone()), 1);
        drop(table);
        Receipt::enqueued(self, task, sent.settle(self))
    }

    /// Executes a command by name. Arguments and answer go through the codec; the arguments are a
    /// tuple, `("Alice",)`, or `()` for none.
    ///
    /// # Errors
    ///
    /// The promise answers `NotFound` with the names that are near, and `Codec` with the path of
    /// the argument that does not fit. The handler's own error arrives as a [`Failure`], which
    /// gives its text, and its value where it is a serde type.
    pub fn execute_command<A, R>(&self, name: &str, args: A) -> Promise<R, Failure>
    where
        A: Serialize,
        R: DeserializeOwned + Send + 'static,
    {
        let command = self.table().command(name).cloned();
        let body = match codec::encode(&args) {
            Ok(body) => body,
            Err(error) => return Promise::ready(Err(ExecuteError::Codec(error))),
        };
        let answer = match (command, &self.0.remote) {
            (Ok(command), _) => {
                self.call_encoded(Head::new(self, Deliveries::ONE), &command, &body)
            }
            (Err(unknown), Some(remote)) if name::check_name(name).is_ok() => {
                remote.call(self, unknown, body, self.0.defaults.command_timeout)
            }
            (Err(unknown), _) => return Promise::ready(Err(ExecuteError::NotFound(unknown))),
        };
        answer.map(|answer| {
            codec::decode(&answer?).map_err(|error| ExecuteError::Codec(error.in_answer()))
        })
    }

    /// Executes a command that is served here with arguments in JSON, for an answer in JSON.
    pub(crate) fn call_encoded(
        &self,
        head: Head,
        command: &Arc<Command>,
        body: &[u8],
    ) -> Promise<Vec<u8>, Failure> {
        match command.by_name {
            Some(ByName::Linked(wire)) => wire.execute(self, head, command, body),
            Some(ByName::Closure) => {
                let call = triomphe::Arc::new(EncodedCall::new(head, command, body.to_vec()));
                let promise = Promise::of(call.clone(), self.deadline_of(&command.binding));
                let promise = promise.driven_by(self);
                self.start(command, MessageRef::of(call));
                promise
            }
            None => {
                let text = "a local command cannot be executed by name; use its handle";
                let error = CodecError::new("", format!("`{}`: {text}", command.name));
                Promise::ready(Err(ExecuteError::Codec(error)))
            }
        }
    }
}

fn unkept(command: &str, error: CodecError) -> Error {
    let text = format!("the arguments of `{command}` cannot be kept");
    Error::new(ErrorKind::Codec, text).with_source(error)
}
