//! [`Bench`]: the broker of one case, and time as it passes there.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autobus_core::Clock;
use autobus_core::transport::Options;

use super::harness::{Foreign, Harness, Need, PATIENCE};
use super::link::Link;

/// What a case works on: an empty broker.
pub struct Bench {
    harness: Arc<dyn Harness>,
    meets: &'static [Need],
    clock: Clock,
}

/// How far a clock that stands still is moved while something is awaited.
const STEP: Duration = Duration::from_millis(10);

impl Bench {
    /// On a broker.
    pub fn new<H: Harness>(harness: H) -> Self {
        let clock = harness.clock();
        Self { harness: Arc::new(harness), meets: H::meets(), clock }
    }

    /// Whether cases that need it are run.
    pub fn meets(&self, need: Need) -> bool {
        self.meets.contains(&need)
    }

    /// Where the broker is.
    pub fn url(&self) -> String {
        self.harness.url()
    }

    /// The clock of the broker's clients.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Options with the clock.
    pub fn options(&self) -> Options {
        Options::new("conformance", self.clock.clone())
    }

    /// A connection.
    pub fn connect(&self) -> Link {
        self.connect_with(&self.options())
    }

    /// A connection with options.
    pub fn connect_with(&self, options: &Options) -> Link {
        Link::new(self.harness.connect(options))
    }

    /// Ends a connection as the death of its process would.
    pub fn lose(&self, link: Link) {
        self.harness.lose(link.into_transport());
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.harness.cut();
    }

    /// Publishes as a program that knows nothing of Autobus.
    pub fn publish(&self, message: &Foreign) {
        self.harness.publish(message);
    }

    /// Lets so much time pass at the broker.
    pub fn pass(&self, time: Duration) {
        let end = self.clock.now() + time;
        self.clock.advance(time);
        // The clock of the machine does not move by hand.
        while self.clock.now() < end {
            std::thread::sleep(end.saturating_duration_since(self.clock.now()));
        }
    }

    /// Asks until there is an answer, while time passes.
    ///
    /// # Panics
    ///
    /// If there is none within 30 s.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
            self.clock.advance(STEP);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("clock", &self.clock).finish_non_exhaustive()
    }
}
