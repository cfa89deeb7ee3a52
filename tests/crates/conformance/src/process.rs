//! [`Process`]: a bus that stands for a process, and what its handlers tell.

use std::ops::Deref;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use autobus_testkit::conformance::Bench;
use bus::{Builder, Running};

/// Where handlers tell what they do.
#[derive(Debug)]
pub(crate) struct Told(Mutex<Sender<String>>);

impl Told {
    pub(crate) fn tell(&self, text: impl Into<String>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A case may have heard enough.
        let _ = sender.send(text.into());
    }
}

/// What a handler waits for: the test opens it, or it is open from the start.
#[derive(Debug)]
pub(crate) struct Gate(Mutex<Receiver<()>>);

impl Gate {
    pub(crate) fn wait(&self) {
        let gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever drops the key opens it for good.
        let _ = gate.recv();
    }
}

/// Some services of the shop, as a process would run them.
pub(crate) struct Process {
    bus: Running,
    told: Receiver<String>,
    key: Option<Sender<()>>,
}

impl Process {
    /// Starts these services.
    #[track_caller]
    pub(crate) fn start(bench: &Bench, services: &[&str]) -> Self {
        Self::with(bench, services, |builder| builder)
    }

    /// Starts these services, with more settings.
    #[track_caller]
    pub(crate) fn with(
        bench: &Bench,
        services: &[&str],
        set: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let (sender, told) = channel();
        let (key, gate) = channel();
        let builder = Builder::new()
            .transport(bench.url())
            .clock(bench.clock().clone())
            .services(services.iter().copied())
            .state(Told(Mutex::new(sender)))
            .state(Gate(Mutex::new(gate)));
        let bus = set(builder).build().unwrap_or_else(|error| panic!("{error}"));
        Self { bus, told, key: Some(key) }
    }

    /// The next that a handler tells, while time passes.
    #[track_caller]
    pub(crate) fn next(&self, bench: &Bench) -> String {
        bench.until("a handler to tell something", || self.told.try_recv().ok())
    }

    /// All that they have told and nobody has heard.
    pub(crate) fn rest(&self) -> Vec<String> {
        self.told.try_iter().collect()
    }

    /// Lets everybody through the gate, from now on.
    pub(crate) fn open_gate(&mut self) {
        self.key = None;
    }

    /// Ends it.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.open_gate();
        self.bus.shutdown_within(Duration::from_secs(20)).unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Deref for Process {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.bus
    }
}

/// Waits for a promise or receipt on another thread, while time passes.
#[track_caller]
pub(crate) fn wait<T: Send + 'static>(
    bench: &Bench,
    waiting: impl FnOnce() -> T + Send + 'static,
) -> T {
    let waiting = std::thread::spawn(waiting);
    bench.until("an answer", || waiting.is_finished().then_some(()));
    waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
