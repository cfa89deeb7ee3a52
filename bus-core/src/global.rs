//! The process's default bus: the only static of the runtime that is not a registration.

use once_cell::sync::OnceCell;

use crate::builder::Running;
use crate::bus::Bus;
use crate::call::Spec;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Topic};
use crate::execute_error::ExecuteError;
use crate::promise::Promise;
use crate::receipt::Receipt;

/// Filled fallibly, which std's cell cannot do yet: a start that fails leaves the place free.
static DEFAULT: OnceCell<Bus> = OnceCell::new();

/// Starts the default bus.
pub(crate) fn start(build: impl FnOnce() -> Result<Running>) -> Result<Running> {
    let mut running = None;
    DEFAULT.get_or_try_init(|| {
        let started = build()?;
        let bus = (*started).clone();
        running = Some(started);
        Ok::<_, Error>(bus)
    })?;
    running.ok_or_else(|| {
        let text = "the default bus was started before; start further ones with \
                    `bus::builder().build()`";
        Error::new(ErrorKind::AlreadyStarted, text)
    })
}

/// The current bus: inside a handler the one that runs it, elsewhere a test bus that the thread has
/// entered, else the default bus.
///
/// # Errors
///
/// `NotStarted` outside of handlers, before the default bus is started.
pub fn current() -> Result<Bus> {
    crate::current::bus()
        .or_else(crate::current::entered)
        .or_else(|| DEFAULT.get().cloned())
        .ok_or_else(Error::not_started)
}

/// Fires on the current bus.
pub(crate) fn fire<E: Event>(topic: Topic<E>, event: E) -> Receipt {
    match current() {
        Ok(bus) => bus.fire_as(topic, event),
        Err(error) => Receipt::refused(error.with_event(event)),
    }
}

/// Fires a copy on the current bus.
pub fn fire_clone<E: Event + Clone>(topic: Topic<E>, event: &E) -> Receipt {
    fire(topic, event.clone())
}

/// Executes on `bus`, else on the current one.
#[inline]
pub fn execute<C: Spec>(bus: Option<&Bus>, args: C::Args) -> Promise<C::Ok, C::Err> {
    match bus {
        Some(bus) => bus.execute::<C>(args),
        None => execute_here::<C>(args),
    }
}

fn execute_here<C: Spec>(args: C::Args) -> Promise<C::Ok, C::Err> {
    match current() {
        Ok(bus) => bus.execute::<C>(args),
        Err(_) => Promise::ready(Err(ExecuteError::NotStarted)),
    }
}

/// Dispatches on `bus`, else on the current one.
pub fn dispatch<C: Spec>(bus: Option<&Bus>, args: C::Args) -> Receipt {
    match bus.map_or_else(current, |bus| Ok(bus.clone())) {
        Ok(bus) => bus.dispatch::<C>(args),
        Err(error) => Receipt::refused(error),
    }
}
