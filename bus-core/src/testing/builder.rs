//! [`TestBuilder`]: a test bus before it runs.

use std::time::Duration;

use super::TestBus;
use super::replace::{Command, Replacements};
use crate::builder::Builder;
use crate::closure::{CommandFn, ListenerFn};
use crate::command::Handle;
use crate::dynamic::Pattern;
use crate::error::Result;
use crate::verify::Report;

/// How long a handler may await something outside of the bus before time moves on.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// A test bus before it runs: what a program runs, less what the test puts something else in the
/// place of.
///
/// It is made of a [`Builder`], so a program that has a function for its own can test that one:
/// `TestBuilder::from(app())`. Transport and clock of the builder make way for memory and virtual
/// time; the environment is not read.
#[derive(Debug)]
#[must_use = "a builder does nothing before `build()`"]
pub struct TestBuilder {
    builder: Builder,
    replacements: Replacements,
    time: Time,
}

/// How time moves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    pub(super) by_hand: bool,
    pub(super) patience: Duration,
}

impl From<Builder> for TestBuilder {
    fn from(builder: Builder) -> Self {
        let time = Time { by_hand: false, patience: PATIENCE };
        Self { builder, replacements: Replacements::default(), time }
    }
}

impl TestBuilder {
    /// State that handlers take as `State<T>`: see [`Builder::state`].
    pub fn state<T: Send + Sync + 'static>(self, state: T) -> Self {
        self.configure(|builder| builder.state(state))
    }

    /// The services that run, each with everything below it; all, by default.
    pub fn services<S: Into<String>>(self, services: impl IntoIterator<Item = S>) -> Self {
        self.configure(|builder| builder.services(services))
    }

    /// Leaves services out, each with everything below it: their `#[init]` does not run, their
    /// listeners hear nothing, their commands are not found. What takes the place of one of their
    /// handlers runs all the same, so a whole service is replaced by leaving it out and replacing
    /// the handlers that the test is about.
    pub fn without<S: Into<String>>(mut self, services: impl IntoIterator<Item = S>) -> Self {
        self.replacements.without.extend(services.into_iter().map(Into::into));
        self
    }

    /// Puts a closure in the place of a command: `.replace::<charge, _>(|card: String| ..)`.
    ///
    /// The closure is what [`Bus::register_command`](crate::Bus::register_command) takes. The
    /// command keeps its name, its service and its options; what only the replaced code needs, such
    /// as a state, need not be there.
    pub fn replace<C: Handle, M>(mut self, f: impl CommandFn<M>) -> Self {
        self.replacements.commands.push((Command::Handle(C::DESCRIPTOR), f.into_closure()));
        self
    }

    /// As [`replace`](Self::replace), by the command's name.
    pub fn replace_command<M>(mut self, name: &str, f: impl CommandFn<M>) -> Self {
        self.replacements.commands.push((Command::Named(name.to_owned()), f.into_closure()));
        self
    }

    /// Puts a closure in the place of a listener, which is named as in outcomes and dead letters:
    /// `service.function`, or its queue.
    ///
    /// The closure is what [`Bus::register_listener`](crate::Bus::register_listener) takes. The
    /// listener keeps its name, its service, its patterns and its options.
    pub fn replace_listener<M>(mut self, name: &str, f: impl ListenerFn<M>) -> Self {
        self.replacements.listeners.push((name.to_owned(), f.into_closure()));
        self
    }

    /// Serves a command that nobody serves: see [`Builder::register_command`].
    pub fn register_command<M>(self, name: &str, f: impl CommandFn<M>) -> Self {
        self.configure(|builder| builder.register_command(name, f))
    }

    /// Listens with a closure: see [`Builder::register_listener`].
    pub fn register_listener<M>(self, pattern: impl Into<Pattern>, f: impl ListenerFn<M>) -> Self {
        self.configure(|builder| builder.register_listener(pattern, f))
    }

    /// Any other setting of the [`Builder`].
    pub fn configure(mut self, change: impl FnOnce(Builder) -> Builder) -> Self {
        self.builder = change(self.builder);
        self
    }

    /// Time moves by [`TestBus::advance`] alone, not for those who wait. Whoever waits for what
    /// only time brings waits until somebody else moves it.
    pub fn by_hand(mut self) -> Self {
        self.time.by_hand = true;
        self
    }

    /// How long, of the machine's time, an asynchronous handler may await something outside of the
    /// bus before virtual time moves on without it; 1 s by default.
    pub fn patience(mut self, limit: Duration) -> Self {
        self.time.patience = limit;
        self
    }

    /// Tells what is wrong with the wiring, without starting anything.
    pub fn verify(self) -> Report {
        self.builder.with_replacements(self.replacements).verify()
    }

    /// Starts the bus.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`]; among the faults is what was to be replaced or left out and is not
    /// there.
    pub fn build(self) -> Result<TestBus> {
        let builder = self.builder.with_replacements(self.replacements);
        Ok(TestBus::of(builder.build_test(super::Testing::new(self.time))?))
    }
}
