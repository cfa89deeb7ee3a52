//! A bus for tests: isolated, in virtual time, with eyes and with faults to order.
//!
//! An ordinary bus has none of this; where it would, it looks at one `Option`. The rest of the core
//! calls `Testing` in few places: when an event is fired, before and while a handler runs, and
//! where somebody waits.

mod activity;
mod builder;
mod bus;
mod capture;
mod inject;
mod names;
mod replace;
mod time;
mod underway;

use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) use self::activity::{Activity, Awake};
pub use self::builder::TestBuilder;
pub use self::bus::TestBus;
pub use self::capture::Fired;
pub use self::inject::Injection;
pub(crate) use self::replace::Replacements;
pub(crate) use self::time::Drive;
pub(crate) use self::underway::Underway;
use crate::clock::Clock;
pub use crate::current::Stay;
use crate::delivery::{Before, Delivery};
use crate::message::MessageRef;
use crate::waits::Invocation;

/// What a test bus has beyond an ordinary one.
pub(crate) struct Testing {
    pub(crate) activity: Arc<Activity>,
    handlers: underway::Handlers,
    capture: capture::Capture,
    faults: inject::Faults,
    /// Held by whoever moves time.
    stepping: Mutex<()>,
    by_hand: bool,
    patience: Duration,
    /// For what is outside of virtual time.
    machine: Clock,
}

impl Testing {
    fn new(time: builder::Time) -> Arc<Self> {
        Arc::new(Self {
            activity: Arc::default(),
            handlers: underway::Handlers::default(),
            capture: capture::Capture::default(),
            faults: inject::Faults::default(),
            stepping: Mutex::default(),
            by_hand: time.by_hand,
            patience: time.patience,
            machine: Clock::system(),
        })
    }

    /// Keeps an event that is fired.
    pub(crate) fn capture(&self, message: &MessageRef) {
        self.capture.add(message.clone());
    }

    /// What becomes of an attempt before its handler would run.
    pub(crate) fn before(&self, bus: &crate::bus::Bus, delivery: &Delivery) -> Before {
        self.faults.meet(bus, delivery)
    }

    /// Notes that a handler begins.
    pub(crate) fn begin(self: &Arc<Self>, invocation: Invocation) -> Underway {
        Underway::new(self, invocation)
    }

    /// Counts a thread that is about to be started.
    pub(crate) fn awake(&self) -> Awake {
        Awake::new(&self.activity)
    }
}

impl std::fmt::Debug for Testing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Testing(..)")
    }
}
