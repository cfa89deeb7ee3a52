//! What a bus promises over every transport: buses that share a broker, each like a process of its
//! own. Its program is a shop; each case says which services of it a process runs.
//!
//! A crate of its own, because handlers are part of every program that they are linked into.

mod books;
mod calls;
mod ending;
mod events;
mod failing;
mod process;
mod scattering;
mod tasks;
mod till;

use autobus_testkit::conformance::Case;

/// Every case of the bus, by what it is about.
pub const BUS: &[(&str, &[Case])] = &[
    ("bus::events", events::CASES),
    ("bus::failing", failing::CASES),
    ("bus::calls", calls::CASES),
    ("bus::tasks", tasks::CASES),
    ("bus::scattering", scattering::CASES),
    ("bus::ending", ending::CASES),
];
