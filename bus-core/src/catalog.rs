//! The catalogue: everything that was linked, with its names resolved.
//!
//! This is the only place that knows how services and handlers get their names. Whether the result
//! can run is decided in `verify`.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::closure::Closure;
use crate::command::CommandDescriptor;
use crate::error::Fault;
use crate::event::{EventDescriptor, ListenerDescriptor, Registration, Source};
use crate::handler::{Handler, Link, Place, ServiceDescriptor, ServiceName, ServiceRef};
use crate::name::DEFAULT_EXCHANGE;
use crate::router;

/// What a program consists of: services, commands, listeners with their bindings, events.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub(crate) services: BTreeMap<String, ServiceEntry>,
    pub(crate) commands: Vec<CommandEntry>,
    pub(crate) listeners: Vec<ListenerEntry>,
    pub(crate) events: Vec<&'static EventDescriptor>,
    pub(crate) links: Vec<&'static Link>,
    pub(crate) crates: BTreeMap<&'static str, [usize; 3]>,
}

/// A service of the catalogue.
#[derive(Debug, Clone, Default)]
pub struct ServiceEntry {
    pub(crate) state: Option<&'static ServiceDescriptor>,
    pub(crate) selected: bool,
    /// Closures stand in for some of its handlers, so it runs at least for those.
    pub(crate) stands_in: bool,
}

impl ServiceEntry {
    /// Whether it has state of its own.
    pub fn is_stateful(&self) -> bool {
        self.state.is_some()
    }

    /// Whether this process runs it.
    pub fn is_selected(&self) -> bool {
        self.selected
    }
}

/// A command of the catalogue.
#[derive(Debug, Clone)]
pub struct CommandEntry {
    pub(crate) name: String,
    pub(crate) service: String,
    /// The same handler may have been linked twice; each has a descriptor of its own.
    pub(crate) descriptors: Vec<&'static CommandDescriptor>,
    /// What a test runs in its place.
    pub(crate) replacement: Option<Closure>,
}

impl CommandEntry {
    pub(crate) fn descriptor(&self) -> &'static CommandDescriptor {
        self.descriptors[0]
    }

    /// Its name on the bus.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The service that it belongs to.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The signature, as written.
    pub fn signature(&self) -> &'static str {
        self.descriptor().signature
    }

    /// Whether it is a contract: a signature that another process serves.
    pub fn is_contract(&self) -> bool {
        self.descriptor().body.is_none()
    }

    /// The file, as the compiler names it, and the line, counted from 1.
    pub fn place(&self) -> (&'static str, u32) {
        let place = self.descriptor().handler.place;
        (place.file, place.line)
    }
}

/// A listener of the catalogue.
#[derive(Debug, Clone)]
pub struct ListenerEntry {
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) descriptor: &'static ListenerDescriptor,
    pub(crate) bindings: Vec<(String, String)>,
    /// What a test runs in its place.
    pub(crate) replacement: Option<Closure>,
}

impl ListenerEntry {
    /// Its name: `service.function`, or its queue's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The service that it belongs to.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Each exchange and pattern that it is bound by.
    pub fn bindings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.bindings.iter().map(|(exchange, pattern)| (exchange.as_str(), pattern.as_str()))
    }

    /// The file, as the compiler names it, and the line, counted from 1.
    pub fn place(&self) -> (&'static str, u32) {
        let place = self.descriptor.handler.place;
        (place.file, place.line)
    }
}

impl Catalog {
    /// Every service by name.
    pub fn services(&self) -> impl Iterator<Item = (&str, &ServiceEntry)> {
        self.services.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// Every command, contracts included, sorted by name.
    pub fn commands(&self) -> &[CommandEntry] {
        &self.commands
    }

    /// Every listener, sorted by name.
    pub fn listeners(&self) -> &[ListenerEntry] {
        &self.listeners
    }

    /// The exchange and key of every declared event, sorted.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.events.iter().map(|event| (event.exchange, event.key))
    }

    /// The exchanges that a pattern without one is bound to: those of the declared events that carry
    /// the payload's type and that it can match, else the default one for a single word.
    ///
    /// # Errors
    ///
    /// The known exchanges, if none can be told.
    pub(crate) fn exchanges_of(
        &self,
        pattern: &str,
        payload: Option<TypeId>,
    ) -> Result<Vec<String>, Vec<String>> {
        let typed: BTreeSet<&str> = self
            .events
            .iter()
            .filter(|event| payload.is_some_and(|payload| (event.payload.type_id)() == payload))
            .filter(|event| router::matches(pattern, event.key))
            .map(|event| event.exchange)
            .collect();
        if !typed.is_empty() {
            return Ok(typed.into_iter().map(str::to_owned).collect());
        }
        if !pattern.contains(['.', '*', '#']) {
            return Ok(vec![DEFAULT_EXCHANGE.to_owned()]);
        }
        let known: BTreeSet<&str> = self.events.iter().map(|event| event.exchange).collect();
        Err(known.into_iter().chain([DEFAULT_EXCHANGE]).map(str::to_owned).collect())
    }

    /// Resolves the names of everything in `linked`; adds what cannot be resolved to `faults`.
    pub(crate) fn new(
        linked: impl Iterator<Item = &'static Registration>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut catalog = Self::default();
        let mut seen = HashSet::new();
        let mut names = Vec::new();
        let mut commands: Vec<Vec<&'static CommandDescriptor>> = Vec::new();
        let mut listeners = Vec::new();
        let mut services = Vec::new();
        for registration in linked {
            let (place, what) = registration.identity();
            let twice = !seen.insert((place, what));
            match registration {
                Registration::Command(command) if twice => {
                    // Both handles must find the one command.
                    let same = commands.iter_mut().find(|same| {
                        (same[0].handler.place, same[0].handler.function) == (place, what)
                    });
                    if let Some(same) = same {
                        same.push(command);
                    }
                }
                _ if twice => {}
                Registration::Command(command) => commands.push(vec![command]),
                Registration::Listener(listener) => listeners.push(*listener),
                Registration::Event(event) => catalog.events.push(event),
                Registration::Service(service) => services.push(*service),
                Registration::ServiceName(name) => names.push(*name),
                Registration::Link(link) => catalog.links.push(link),
            }
        }
        let names_of = Namer::new(names, faults);
        catalog.add_services(&services, &names_of);
        for descriptors in commands {
            let entry = names_of.command(descriptors);
            catalog.add_service(&entry.service, entry.descriptor().body.is_some());
            catalog.count(entry.descriptor().handler.place, 0);
            catalog.commands.push(entry);
        }
        for listener in listeners {
            catalog.add_listener(listener, &names_of, faults);
        }
        names_of.report_shared(&catalog, faults);
        catalog.events.sort_by_key(|event| (event.exchange, event.key, event.place));
        catalog.commands.sort_by(|a, b| {
            let place = |entry: &CommandEntry| entry.descriptor().handler.place;
            a.name.cmp(&b.name).then_with(|| place(a).cmp(&place(b)))
        });
        catalog.listeners.sort_by(|a, b| {
            let place = |entry: &ListenerEntry| entry.descriptor.handler.place;
            a.name.cmp(&b.name).then_with(|| place(a).cmp(&place(b)))
        });
        catalog
    }

    fn add_services(&mut self, services: &[&'static ServiceDescriptor], namer: &Namer) {
        for service in services {
            let name = namer.state(service);
            self.services.entry(name).or_default().state = Some(service);
            self.count(service.place, 2);
        }
    }

    fn add_service(&mut self, name: &str, runs: bool) {
        if runs {
            self.services.entry(name.to_owned()).or_default();
        }
    }

    fn count(&mut self, place: Place, column: usize) {
        self.crates.entry(place.krate()).or_default()[column] += 1;
    }

    fn add_listener(
        &mut self,
        descriptor: &'static ListenerDescriptor,
        namer: &Namer,
        faults: &mut Vec<Fault>,
    ) {
        let handler = &descriptor.handler;
        let service = namer.service(handler).name;
        let name = match descriptor.queue {
            Some(queue) => queue.to_owned(),
            None => format!("{service}.{}", handler.function),
        };
        let bindings = self.bindings(descriptor).unwrap_or_else(|text| {
            faults.push(Fault::at(handler.place, text));
            Vec::new()
        });
        self.add_service(&service, true);
        self.count(handler.place, 1);
        let replacement = None;
        self.listeners.push(ListenerEntry { name, service, descriptor, bindings, replacement });
    }

    fn bindings(&self, listener: &ListenerDescriptor) -> Result<Vec<(String, String)>, String> {
        let payload = listener.payload.as_ref().map(|payload| (payload.type_id)());
        match listener.source {
            Source::Topic(event) => Ok(vec![(event.exchange.to_owned(), event.key.to_owned())]),
            Source::Payload => {
                let mut bindings: Vec<(String, String)> = self
                    .events
                    .iter()
                    .filter(|event| payload == Some((event.payload.type_id)()))
                    .filter(|event| listener.exchange.is_none_or(|only| only == event.exchange))
                    .map(|event| (event.exchange.to_owned(), event.key.to_owned()))
                    .collect();
                bindings.sort_unstable();
                bindings.dedup();
                Ok(bindings)
            }
            Source::Pattern(pattern) => {
                let exchanges = match listener.exchange {
                    Some(exchange) => vec![exchange.to_owned()],
                    None => self.exchanges_of(pattern, payload).map_err(|known| {
                        format!(
                            "the exchange of the listener `{}` cannot be told from its pattern \
                             `{pattern}` and its payload; write `exchange = \"…\"`; the exchanges \
                             are {}",
                            listener.handler.function,
                            crate::name::list(known)
                        )
                    })?,
                };
                Ok(exchanges.into_iter().map(|exchange| (exchange, pattern.to_owned())).collect())
            }
        }
    }
}

impl Registration {
    /// What tells two registrations apart: the same one linked twice is one.
    fn identity(&self) -> (Place, &'static str) {
        match self {
            Self::Command(command) => (command.handler.place, command.handler.function),
            Self::Listener(listener) => (listener.handler.place, listener.handler.function),
            Self::Event(event) => (event.place, event.key),
            Self::Service(service) => (service.place, service.type_name),
            Self::ServiceName(name) => (name.place, name.name),
            Self::Link(link) => (link.place, link.krate),
        }
    }
}

/// Gives services and handlers their names.
struct Namer {
    names: Vec<&'static ServiceName>,
}

/// The service of a module.
struct Named {
    name: String,
    /// Its handlers are named without it: the root of a crate, where nothing names the service.
    bare: bool,
    /// It is named by somebody, not by where it stands.
    said: bool,
}

impl Namer {
    fn new(mut names: Vec<&'static ServiceName>, faults: &mut Vec<Fault>) -> Self {
        names.sort_by_key(|name| (name.place.module, name.place));
        for pair in names.windows(2) {
            if pair[0].place.module == pair[1].place.module && pair[0].name != pair[1].name {
                let text = format!(
                    "the module `{}` is named `{}` here and `{}` at {}; a module is one service",
                    pair[1].place.module, pair[1].name, pair[0].name, pair[0].place
                );
                faults.push(Fault::at(pair[1].place, text));
            }
        }
        Self { names }
    }

    fn module(&self, module: &'static str) -> Named {
        let inside = |of: &str| {
            module.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let said = self.names.iter().filter(|name| inside(name.place.module));
        if let Some(nearest) = said.max_by_key(|name| name.place.module.len()) {
            return Named { name: nearest.name.to_owned(), bare: false, said: true };
        }
        let mut path = module.split("::");
        let krate = path.next().unwrap_or(module);
        match path.next() {
            Some(top) => Named { name: top.to_owned(), bare: false, said: false },
            None => Named { name: krate.to_owned(), bare: true, said: false },
        }
    }

    fn state(&self, service: &ServiceDescriptor) -> String {
        if let Some(name) = service.name {
            return name.to_owned();
        }
        let module = self.module(service.place.module);
        if module.bare {
            service.type_name.to_owned()
        } else {
            format!("{}.{}", module.name, service.type_name)
        }
    }

    fn service(&self, handler: &Handler) -> Named {
        match handler.service {
            ServiceRef::Module => self.module(handler.place.module),
            ServiceRef::Named(name) => Named { name: name.to_owned(), bare: false, said: true },
            ServiceRef::State(service) => {
                Named { name: self.state(service), bare: false, said: true }
            }
        }
    }

    fn command(&self, descriptors: Vec<&'static CommandDescriptor>) -> CommandEntry {
        let descriptor = descriptors[0];
        let service = self.service(&descriptor.handler).name;
        let name = self.command_name(descriptor);
        CommandEntry { name, service, descriptors, replacement: None }
    }

    fn command_name(&self, descriptor: &CommandDescriptor) -> String {
        if let Some(contract) = descriptor.serves {
            return self.command_name(contract());
        }
        if let Some(name) = descriptor.name {
            return name.to_owned();
        }
        let service = self.service(&descriptor.handler);
        if service.bare {
            descriptor.handler.function.to_owned()
        } else {
            format!("{}.{}", service.name, descriptor.handler.function)
        }
    }

    /// Modules of one name in two crates are one service only where both say so.
    fn report_shared(&self, catalog: &Catalog, faults: &mut Vec<Fault>) {
        let handlers = catalog
            .commands
            .iter()
            .filter(|command| !command.is_contract())
            .map(|command| &command.descriptor().handler)
            .chain(catalog.listeners.iter().map(|listener| &listener.descriptor.handler));
        let mut owners: BTreeMap<String, BTreeMap<&str, (bool, Place)>> = BTreeMap::new();
        for handler in handlers {
            if !matches!(handler.service, ServiceRef::Module) {
                continue;
            }
            let service = self.service(handler);
            let owner = owners.entry(service.name).or_default();
            let entry = owner.entry(handler.place.krate()).or_insert((service.said, handler.place));
            entry.0 &= service.said;
        }
        for (service, crates) in owners {
            let unsaid = crates.iter().find(|(_, (said, _))| !said);
            let (Some((krate, (_, place))), true) = (unsaid, crates.len() > 1) else {
                continue;
            };
            let others: Vec<&str> = crates.keys().copied().filter(|other| other != krate).collect();
            let text = format!(
                "the service `{service}` of crate `{krate}` is also one of {}; say \
                 `bus::service_name!(\"{service}\")` in each if they are one, else another name",
                crate::name::list(others)
            );
            faults.push(Fault::at(*place, text));
        }
    }
}
