//! [`Builder`]: a bus before it runs; [`Running`]: its owner while it does.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::binding::{Binding, Code, Counts, Defaults, Policy};
use crate::bus::{Bus, Shared};
use crate::catalog::{Catalog, CommandEntry, ListenerEntry};
use crate::clock::Clock;
use crate::closure::{Closure, CommandFn, ListenerFn};
use crate::dynamic::{Pattern, Planned};
use crate::error::{ErrorKind, Fault, Result};
use crate::handler::{Handler, Needs, linked};
use crate::layer::{Layer, Layers};
use crate::lifecycle;
use crate::name;
use crate::remote::{self, Consumer, Declares, Limits, Remote, Source};
use crate::runtime::Runtime;
use crate::service::Service;
use crate::signal::Signal;
use crate::state::States;
use crate::table::{ByName, Command, Table};
use crate::testing::{Replacements, Testing};
use crate::transport::Connector;
use crate::upcast::Upcasts;
use crate::verify::{self, Report};

/// The environment variable that chooses the transport.
pub const ENV_URL: &str = "BUS_URL";

/// The environment variable that chooses whose queues a process declares at a broker: `linked`, those
/// of every listener that is linked into the program, the default; `own`, those of the services that
/// it runs; `none`.
pub const ENV_TOPOLOGY: &str = "BUS_TOPOLOGY";

/// The environment variable that chooses the services, separated by commas.
pub const ENV_SERVICES: &str = "BUS_SERVICES";

/// A bus before it runs.
///
/// [`start`](Self::start) makes it the process's default bus and lets the environment override what
/// was chosen here; [`build`](Self::build) does neither.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// use std::time::Duration;
///
/// let bus = bus::Builder::new() // `bus::builder()`
///     .state("amqps://…".to_owned()) // handlers take it as `State<String>`
///     .mailbox(64)
///     .retry(2, &[Duration::from_millis(100), Duration::from_secs(1)])
///     .command_timeout(Duration::from_secs(5))
///     .shutdown_within(Duration::from_secs(10))
///     .register_command("double", |number: u32| 2 * number)
///     .build()?; // or `start()`, for the process's default bus
/// let doubled: u32 = bus.execute_command("double", (4,)).wait()?;
/// assert_eq!(doubled, 8);
/// bus.shutdown()?;
/// # Ok::<(), bus::Error>(())
/// ```
#[derive(Default)]
#[must_use = "a builder does nothing before `start()` or `build()`"]
pub struct Builder {
    url: Option<String>,
    services: Vec<String>,
    states: States,
    clock: Option<Clock>,
    defaults: Defaults,
    layers: Layers,
    planned: Vec<Planned>,
    faults: Vec<Fault>,
    replacements: Replacements,
    limits: Limits,
    declares: Declares,
}

impl Builder {
    /// A bus with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The transport: `memory:`, the default; or the URL of a broker, such as `amqp://localhost`, if
    /// its feature is on. `memory:name` is a broker in memory, which all buses of this process
    /// share that name it: each is then like a process of its own.
    pub fn transport(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// The services that this process runs, each with everything below it; all, by default.
    pub fn services<S: Into<String>>(mut self, services: impl IntoIterator<Item = S>) -> Self {
        self.services = services.into_iter().map(Into::into).collect();
        self
    }

    /// State that handlers take as `State<T>`; a second one of the same type replaces the first.
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// Surrounds every handling of commands and events with `layer`, inside of the layers that were
    /// given before.
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// The clock; the machine's, by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The bound of every mailbox, in deliveries, at least 1; 1,024 by default.
    pub fn mailbox(mut self, deliveries: usize) -> Self {
        self.defaults.mailbox = deliveries.max(1);
        self
    }

    /// How long `shutdown()` and the drop of the bus may take; 30 s by default.
    pub fn shutdown_within(mut self, limit: Duration) -> Self {
        self.defaults.shutdown = limit;
        self
    }

    /// How long a caller waits for a command that sets no `timeout`; 30 s by default.
    pub fn command_timeout(mut self, limit: Duration) -> Self {
        self.defaults.command_timeout = limit;
        self
    }

    /// How many attempts follow a failed one, and the waits before them, where a handler sets
    /// neither; 4 after 1 s, 5 s, 30 s and 2 min by default. The last wait repeats.
    pub fn retry(mut self, retries: u32, backoff: &[Duration]) -> Self {
        self.defaults.retry = retries;
        self.defaults.backoff = backoff.into();
        self
    }

    /// How long connecting to a broker may take, and each request that asks it or changes something
    /// there; 30 s by default.
    pub fn connect_within(mut self, limit: Duration) -> Self {
        self.limits.connect = limit;
        self
    }

    /// How long who waits for a receipt waits for the broker's confirm; 30 s by default. What is not
    /// confirmed by then is still published once the broker takes it.
    pub fn confirm_within(mut self, limit: Duration) -> Self {
        self.limits.confirm = limit;
        self
    }

    /// The largest body that is sent to a broker or taken from it, in bytes; 16 MiB by default.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.limits.body = bytes;
        self
    }

    /// How many deliveries a broker sends ahead to a listener that sets no `prefetch`, at least 1; 256
    /// by default.
    pub fn prefetch(mut self, deliveries: u16) -> Self {
        self.limits.prefetch = deliveries.max(1);
        self
    }

    /// Serves a command with a closure for as long as the bus runs: see [`Bus::register_command`].
    pub fn register_command<M>(mut self, name: &str, f: impl CommandFn<M>) -> Self {
        self.planned.push(Planned::Command(name.to_owned(), f.into_closure()));
        self
    }

    /// Listens with a closure for as long as the bus runs: see [`Bus::register_listener`].
    pub fn register_listener<M>(
        mut self,
        pattern: impl Into<Pattern>,
        f: impl ListenerFn<M>,
    ) -> Self {
        self.planned.push(Planned::Listener(pattern.into(), f.into_closure()));
        self
    }

    /// Tells what is wrong with the wiring, without starting anything.
    pub fn verify(&self) -> Report {
        self.plan().1
    }

    /// Starts a bus of its own, which is nobody's default, whatever the environment says.
    ///
    /// # Errors
    ///
    /// `Wiring` with every fault; `Init` if a service does not start; `Transport` for a transport
    /// that is not compiled in.
    pub fn build(self) -> Result<Running> {
        self.build_with(None)
    }

    /// What stands in for handlers on a test bus.
    pub(crate) fn with_replacements(mut self, replacements: Replacements) -> Self {
        self.replacements = replacements;
        self
    }

    /// Starts a test bus: in memory and in virtual time, whatever was chosen here.
    pub(crate) fn build_test(mut self, testing: Arc<Testing>) -> Result<(Running, Arc<Testing>)> {
        self.url = None;
        self.clock = Some(Clock::manual());
        Ok((self.build_with(Some(testing.clone()))?, testing))
    }

    fn build_with(self, testing: Option<Arc<Testing>>) -> Result<Running> {
        let (catalog, report) = self.plan();
        for warning in report.warnings() {
            tracing::warn!("{warning}");
        }
        report.ok()?;
        log(&catalog);
        let clock = self.clock.unwrap_or_else(Clock::system);
        let (table, consumers) = assemble(&catalog, &self.defaults, &clock);
        let upcasts = Upcasts::new(&catalog.events);
        let broker = self.url.as_deref().filter(|url| names_broker(url) && testing.is_none());
        let remote = broker.map(|url| Remote::connect(url, &self.limits, &clock)).transpose()?;
        if let Some(remote) = &remote {
            remote.declare(remote::plan(&catalog, self.declares))?;
            remote.plan(consumers);
        }
        let mut shared = Shared::new(
            table,
            self.states,
            upcasts,
            clock,
            self.defaults,
            catalog,
            Runtime::new()?,
        );
        shared.layers = self.layers;
        shared.testing = testing;
        shared.remote = remote;
        let bus = Bus(Arc::new(shared));
        // Closures hear what the first handler fires, so they are there before any runs.
        for planned in self.planned {
            bus.register(planned)?.keep();
        }
        lifecycle::start(&bus)?;
        // From here on the drop of the owner stops what was started.
        let running = Running { bus };
        running.start_consumers()?;
        lifecycle::announce_start(&running);
        Ok(running)
    }

    /// Starts the process's default bus. `BUS_URL`, `BUS_SERVICES` and `BUS_TOPOLOGY` override the
    /// builder.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build); `AlreadyStarted` if the process has a default bus.
    pub fn start(self) -> Result<Running> {
        crate::global::start(|| self.with_env().build())
    }

    /// Starts the default bus, waits for SIGINT or SIGTERM, and shuts it down: a service's whole
    /// `main`. A second signal ends the process at once.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start) and [`Bus::shutdown`]; `Init` if the signals cannot be watched.
    pub fn run(self) -> Result<()> {
        // A signal that arrives while the bus starts must not be lost.
        let signal = crate::signal::watch()?;
        self.start()?.run_until(signal)
    }

    /// Puts `BUS_URL`, `BUS_SERVICES` and `BUS_TOPOLOGY` over what was chosen so far, as [`start`](Self::start) does.
    pub fn with_env(mut self) -> Self {
        match env(ENV_URL) {
            Ok(url) => self.url = url.or(self.url),
            Err(fault) => self.faults.push(fault),
        }
        match env(ENV_SERVICES) {
            Ok(None) => {}
            Ok(Some(services)) => {
                let names = services.split(',').map(str::trim).filter(|name| !name.is_empty());
                self.services = names.map(str::to_owned).collect();
            }
            Err(fault) => self.faults.push(fault),
        }
        match env(ENV_TOPOLOGY) {
            Ok(None) => {}
            Ok(Some(text)) => {
                let declares = Declares::parse(text.trim());
                if declares.is_none() {
                    let text =
                        format!("{ENV_TOPOLOGY} is `{text}`; it can be `linked`, `own` or `none`");
                    self.faults.push(Fault::outside(ErrorKind::Config, text));
                }
                self.declares = declares.unwrap_or(self.declares);
            }
            Err(fault) => self.faults.push(fault),
        }
        self
    }

    fn plan(&self) -> (Catalog, Report) {
        let mut faults = self.faults.clone();
        faults.extend(check_transport(self.url.as_deref()));
        let mut catalog = Catalog::new(linked(), &mut faults);
        verify::select(&mut catalog, &self.services, &mut faults);
        self.replacements.apply(&mut catalog, &mut faults);
        verify::closures(&catalog, &self.planned, &mut faults);
        let report = verify::verify(&catalog, &self.states, faults);
        (catalog, report)
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the URL: it may hold a password.
        f.debug_struct("Builder").field("services", &self.services).finish_non_exhaustive()
    }
}

fn env(variable: &str) -> Result<Option<String>, Fault> {
    match std::env::var(variable) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Fault::outside(ErrorKind::Config, format!("{variable} is not Unicode")))
        }
    }
}

/// Only the scheme appears in messages: the rest may hold a password.
fn check_transport(url: Option<&str>) -> Option<Fault> {
    let Some((scheme, _)) = url?.split_once(':') else {
        let text = "the transport is no URL; write `memory:` or `scheme://host`";
        return Some(Fault::outside(ErrorKind::Config, text));
    };
    Connector::of(scheme).is_none().then(|| {
        let text = format!(
            "the transport `{scheme}` is not compiled in; this build has {}; a broker comes with a \
             feature of `autobus`, such as `amqp`",
            name::list(Connector::schemes())
        );
        Fault::outside(ErrorKind::Transport, text)
    })
}

/// Whether a URL means a broker: all but `memory:` without a name.
fn names_broker(url: &str) -> bool {
    url.strip_prefix("memory:").is_none_or(|name| !name.trim_matches('/').is_empty())
}

fn log(catalog: &Catalog) {
    for (krate, registered) in &catalog.crates {
        let (commands, listeners) = (registered.commands, registered.listeners);
        let services = registered.services.len();
        tracing::info!(krate, commands, listeners, services, "linked");
    }
    for listener in &catalog.listeners {
        if is_selected(catalog, &listener.service) {
            for (exchange, pattern) in listener.bindings() {
                tracing::info!(queue = listener.name, exchange, pattern, "bound");
            }
        }
    }
}

fn is_selected(catalog: &Catalog, service: &str) -> bool {
    catalog.services.get(service).is_some_and(|service| service.selected)
}

/// Makes the services, commands and bindings of the selected part of `catalog`.
fn assemble(catalog: &Catalog, defaults: &Defaults, clock: &Clock) -> (Table, Vec<Consumer>) {
    let services: HashMap<&str, Arc<Service>> = catalog
        .services
        .iter()
        .filter(|(_, entry)| entry.selected || entry.stands_in)
        .map(|(name, entry)| {
            let state = entry.state.filter(|_| entry.selected);
            let service = Service::new(name.as_str().into(), clock, defaults.mailbox, state);
            (name.as_str(), Arc::new(service))
        })
        .collect();
    let mut running: Vec<Arc<Service>> = services.values().cloned().collect();
    running.sort_by(|a, b| a.name.cmp(&b.name));
    let mut table = Table::new(running);
    let mut consumers = Vec::new();
    for entry in &catalog.commands {
        let command = services
            .get(entry.service.as_str())
            .filter(|_| entry.replacement.is_some() || is_selected(catalog, &entry.service))
            .and_then(|service| command(entry, service, defaults));
        if let Some(command) = &command {
            // The rules of wiring leave each name once.
            let _ = table.serve(command.clone());
            if command.by_name.is_some() {
                let prefetch = entry.descriptor().handler.options.prefetch;
                consumers.push(Consumer { source: Source::Command(command.clone()), prefetch });
            }
        }
        let name =
            command.as_ref().map_or_else(|| entry.name.as_str().into(), |it| it.name.clone());
        for descriptor in &entry.descriptors {
            table.link(descriptor, name.clone(), command.clone());
        }
    }
    for entry in &catalog.listeners {
        let runs = entry.replacement.is_some() || is_selected(catalog, &entry.service);
        if let Some(service) = services.get(entry.service.as_str()).filter(|_| runs) {
            let binding = listener(entry, service, defaults);
            for (exchange, pattern) in entry.bindings() {
                table.bind(exchange, pattern, &binding);
            }
            if let Some(queue) = remote::queue(catalog, entry) {
                let prefetch = entry.descriptor.handler.options.prefetch;
                consumers.push(Consumer { source: Source::Listener(queue, binding), prefetch });
            }
        }
    }
    (table, consumers)
}

fn command(
    entry: &CommandEntry,
    service: &Arc<Service>,
    defaults: &Defaults,
) -> Option<Arc<Command>> {
    let descriptor = entry.descriptor();
    let (code, by_name) = match &entry.replacement {
        Some(closure) => (closure.clone(), Some(ByName::Closure)),
        None => (Closure::linked(descriptor.body?, None), descriptor.wire.map(ByName::Linked)),
    };
    let name: Arc<str> = entry.name.as_str().into();
    let binding = bind(name.clone(), &descriptor.handler, code, false, service, defaults);
    Some(Arc::new(Command { name, binding, by_name }))
}

fn listener(entry: &ListenerEntry, service: &Arc<Service>, defaults: &Defaults) -> Arc<Binding> {
    let descriptor = entry.descriptor;
    let (code, shared) = match &entry.replacement {
        Some(closure) => (closure.clone(), false),
        None => (Closure::linked(descriptor.body, descriptor.payload), descriptor.shared),
    };
    let name = entry.name.as_str().into();
    bind(name, &descriptor.handler, code, shared, service, defaults)
}

fn bind(
    name: Arc<str>,
    handler: &Handler,
    Closure { code, payload }: Closure,
    shared: bool,
    service: &Arc<Service>,
    defaults: &Defaults,
) -> Arc<Binding> {
    let is_linked = matches!(code, Code::Linked(_));
    Arc::new(Binding {
        name,
        service: service.clone(),
        place: Some(handler.place),
        access: handler.access,
        inline: handler.options.inline && !code.is_async(),
        plain: code.plain(),
        code,
        policy: Policy::new(&handler.options, defaults),
        payload,
        shared,
        wants_context: !is_linked || Needs::of(handler.needs).wants_context(),
        counts: Counts::default(),
    })
}

/// The owner of a running bus: derefs to [`Bus`], and stops it when dropped.
///
/// The drop drains as [`Bus::shutdown`] does, and logs what that would return.
#[derive(Debug)]
#[must_use = "dropping it stops the bus"]
pub struct Running {
    bus: Bus,
}

impl Running {
    /// Waits for SIGINT or SIGTERM, and shuts the bus down. A second signal ends the process at once.
    ///
    /// # Errors
    ///
    /// As [`Bus::shutdown`]; `Init` if the signals cannot be watched.
    pub fn run(self) -> Result<()> {
        self.run_until(crate::signal::watch()?)
    }

    fn run_until(self, signal: Signal) -> Result<()> {
        signal.wait();
        tracing::info!("a signal asks the process to stop");
        self.shutdown()
    }
}

impl Deref for Running {
    type Target = Bus;
    fn deref(&self) -> &Bus {
        &self.bus
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.bus.shutdown() {
            tracing::error!(%error, "the bus was dropped and did not stop cleanly");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_message_and_no_debug() {
        let builder = Builder::new().transport("amqp://user:secret@localhost");
        assert!(!format!("{builder:?}").contains("secret"));
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert!(!format!("{error:?} {error}").contains("secret"), "{error}");
        let error = Builder::new().transport("nonsense").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}
