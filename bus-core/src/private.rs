//! What generated code may name. Nothing here is promised to anybody else.
#![allow(missing_docs, reason = "only macros read it")]

pub use std::borrow::{Borrow, ToOwned};
pub use std::boxed::Box;
pub use std::convert::Infallible;
pub use std::sync::Arc;
pub use std::time::Duration;

pub use inventory::submit;
pub use serde;

pub use crate::bound::{
    Answer, Argument, ErrorOf, Fallible, Initial, OkOf, Stateful, answer, argument,
};
pub use crate::bus::Bus;
pub use crate::call::{CloneFn, Errors, PlainCommand, Spec, close, open, run_plain};
pub use crate::codec::{DecodeFn, EncodeFn};
pub use crate::command::{CommandDescriptor, Contract, Handle};
pub use crate::context::{Context, Param, ParamRef};
pub use crate::event::{
    Event, EventDescriptor, ListenerDescriptor, PayloadDescriptor, Registration, Source, Topic,
    Upcast,
};
pub use crate::failure::Failure;
pub use crate::gather::{Gather, scatter};
pub use crate::global::{dispatch, execute, fire_clone};
pub use crate::handler::{
    Access, Body, Exclusive, Handler, HandlerResult, HandlerResult as Handled, Instance, Link,
    LocalFuture, Needs, OnPanic, Options, Place, ServiceDescriptor, ServiceName, ServiceRef,
    Shared,
};
pub use crate::memory;
pub use crate::message::Held;
pub use crate::outcome::{IntoOutcome, IntoOutcome as Outcome, outcome_if};
pub use crate::payload::{ByValue, Lend, Own, Payload, Take, Travels, hear, heard, payload};
pub use crate::probe::{self, Kind, Probe, Split};
pub use crate::promise::Promise;
pub use crate::receipt::Receipt;
pub use crate::state::State;
pub use crate::wire::CommandWire;

pub use crate::__place as place;

/// The place of the invocation.
#[doc(hidden)]
#[macro_export]
macro_rules! __place {
    () => {
        $crate::private::Place {
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            module: ::core::module_path!(),
            package: $crate::private::or_unknown(::core::option_env!("CARGO_PKG_NAME")),
            version: $crate::private::or_unknown(::core::option_env!("CARGO_PKG_VERSION")),
        }
    };
}

pub const fn or_unknown(text: Option<&'static str>) -> &'static str {
    match text {
        Some(text) => text,
        None => "unknown",
    }
}

/// The state of a service, as its `#[init]` made it.
///
/// # Errors
///
/// The error of `#[init]`, as text.
pub fn started<S: 'static, E: std::fmt::Display>(
    result: Result<S, E>,
) -> Result<Instance, Failure> {
    match result {
        Ok(state) => Ok(Instance::new(state)),
        Err(error) => Err(Failure::error(error.to_string(), true)),
    }
}
