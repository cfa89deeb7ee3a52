//! Typed commands and events, wired by macros at link time, in one process or across many.

pub use autobus_core::{
    Accepted, Builder, Bus, Catalog, Clock, CodecError, CommandEntry, CommandFn, Context, Contract,
    Cycle, DeadLetter, DeadLetters, ENV_SERVICES, ENV_URL, Error, ErrorKind, Event, ExecuteError,
    Failure, Fault, Full, Handle, Handled, HandlerStats, Headers, Health, Kind, Layer,
    ListenerEntry, ListenerFn, Next, NotFound, Outcome, Outcomes, Pattern, Promise, Ran, Reason,
    Receipt, Registration, Report, Result, Running, ServiceEntry, ServiceStats, State, Stats,
    Topic, TracingLayer, current, events, name,
};

pub use autobus_macros::{Event, command, event, link, listener, payload, service, service_name};

#[doc(hidden)]
pub use autobus_core::private as __private;

/// What most files that have handlers want: `use bus::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Bus, Context, Event, ExecuteError, Promise, Receipt, State, command, event, listener,
        payload, service,
    };
}

/// The README's programs, run as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A bus before it runs, with the defaults.
pub fn builder() -> Builder {
    Builder::new()
}

/// Starts the process's default bus: the defaults, then the environment.
///
/// # Errors
///
/// As [`Builder::start`].
pub fn start() -> Result<Running> {
    builder().start()
}

/// Starts the default bus, waits for SIGINT or SIGTERM, and shuts it down: a service's whole `main`.
///
/// # Errors
///
/// As [`Builder::run`].
pub fn run() -> Result<()> {
    builder().run()
}

/// Tells what is wrong with the wiring of this program, and what may be, without starting it.
pub fn verify() -> Report {
    builder().verify()
}
