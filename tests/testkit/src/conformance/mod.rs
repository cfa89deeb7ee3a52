//! The suite that every transport must pass: what the documentation of
//! [`Transport`](autobus_core::transport::Transport) promises, one case a promise, named after it.
//!
//! A [`Harness`] says how one transport is reached and broken, and which [`Need`]s of cases it can
//! meet. [`run`] makes each case that it can meet a test of its own; those that it cannot are pinned in a
//! golden file, so that nothing is skipped in silence. The whole of a run is a test target with
//! `harness = false`:
//!
//! ```no_run
//! use autobus_testkit::conformance::{self, Memory, Plan};
//!
//! fn main() -> std::process::ExitCode {
//!     let plan = Plan::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance_memory.skipped"));
//!     conformance::run::<Memory>(&plan)
//! }
//! ```

mod bench;
mod bodies;
mod calling;
mod closing;
mod consumer;
mod cutting;
mod dead;
mod foreign;
mod harness;
mod link;
mod losing;
mod matching;
mod parts;
mod retrying;
mod routing;
mod runner;
mod settling;
mod sharing;
mod waiting;

pub use self::bench::Bench;
pub use self::consumer::{Consumer, Held};
pub use self::harness::{Foreign, Harness, Memory, Need, RabbitMq};
pub use self::link::Link;
pub use self::runner::{Plan, run};

/// A promise, and the test of it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The promise, as the name of its test.
    pub name: &'static str,
    /// What a harness must be able to do for it.
    pub needs: &'static [Need],
    /// Panics if the promise is broken.
    pub test: fn(&Bench),
}

/// Cases by the names of their functions, with what they need: `cases![a, b: Foreign]`.
#[macro_export]
macro_rules! cases {
    ($($name:ident $(: $($need:ident)+)?),* $(,)?) => {
        &[$($crate::conformance::Case {
            name: stringify!($name),
            needs: &[$($($crate::conformance::Need::$need),+)?],
            test: $name,
        }),*]
    };
}

/// Every case of the trait, by what it is about.
pub const TRAIT: &[(&str, &[Case])] = &[
    ("routing", routing::CASES),
    ("matching", matching::CASES),
    ("sharing", sharing::CASES),
    ("waiting", waiting::CASES),
    ("settling", settling::CASES),
    ("retrying", retrying::CASES),
    ("dead", dead::CASES),
    ("losing", losing::CASES),
    ("cutting", cutting::CASES),
    ("calling", calling::CASES),
    ("closing", closing::CASES),
    ("bodies", bodies::CASES),
    ("foreign", foreign::CASES),
];
