//! The runtime of [Autobus](https://crates.io/crates/autobus). Depend on `autobus`, which shows all
//! of it together with the macros.
//!
//! A firing or a call becomes a [`message`](self) that knows its payload's type. The table finds the
//! services that want it, their mailboxes take it, and each service's thread gives it to its
//! handlers one by one. What a handler makes of it settles the delivery: done, tried again after a
//! while, or kept among the dead letters.

mod binding;
mod bound;
mod builder;
mod bus;
mod call;
mod catalog;
mod clock;
mod closure;
mod codec;
mod command;
mod context;
mod current;
mod dead_letter;
mod delivery;
mod direct;
mod dynamic;
mod envelope;
mod error;
mod event;
pub mod events;
mod execute_error;
mod failure;
mod gather;
mod global;
mod handler;
mod heard;
mod held;
mod here;
#[cfg(all(test, autobus_loom))]
mod interleavings;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod lane;
mod layer;
mod lifecycle;
mod lineage;
#[doc(hidden)]
pub mod memory;
mod message;
pub mod name;
mod naming;
mod outcome;
mod pace;
mod park;
mod passage;
mod payload;
#[doc(hidden)]
pub mod private;
#[doc(hidden)]
pub mod probe;
mod promise;
mod publish;
mod receipt;
mod remote;
mod router;
mod routes;
mod runtime;
mod service;
mod signal;
mod state;
mod stats;
mod sync;
mod table;
pub mod testing;
mod trace;
pub mod transport;
mod trie;
mod upcast;
mod verify;
mod wait;
mod waits;
mod wire;

pub use self::builder::{Builder, ENV_SERVICES, ENV_TOPOLOGY, ENV_URL, Running};
pub use self::bus::Bus;
pub use self::catalog::{Catalog, CommandEntry, ListenerEntry, ServiceEntry};
pub use self::clock::Clock;
pub use self::closure::{CommandFn, ListenerFn};
pub use self::command::{Contract, Handle};
pub use self::context::{Context, Kind};
pub use self::dead_letter::{DeadLetter, DeadLetters};
pub use self::dynamic::{Pattern, Registration};
pub use self::envelope::Headers;
pub use self::error::{CodecError, Error, ErrorKind, Fault, Result};
pub use self::event::{Event, Topic};
pub use self::execute_error::{Cycle, ExecuteError, NotFound};
pub use self::failure::{Failure, Reason};
pub use self::gather::{All, AllFailed, FirstOk, Gather, Results};
pub use self::global::current;
pub use self::layer::{Layer, Next, Ran};
pub use self::promise::Promise;
pub use self::publish::Full;
pub use self::receipt::{Accepted, Handled, Outcome, Outcomes, Receipt};
pub use self::state::State;
pub use self::stats::{HandlerStats, Health, ServiceStats, Stats, TransportStats};
pub use self::trace::TracingLayer;
pub use self::verify::Report;
