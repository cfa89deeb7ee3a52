//! The catalogue: everything that was linked, with its names resolved.
//!
//! `naming` gives the names; whether the result can run is decided in `verify`.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::mem::{Discriminant, discriminant};

use foldhash::fast::RandomState;

use crate::closure::Closure;
use crate::command::CommandDescriptor;
use crate::error::Fault;
use crate::event::{EventDescriptor, ListenerDescriptor, Registration, Source};
use crate::events;
use crate::handler::{Handler, Link, Place, ServiceDescriptor, ServiceRef};
use crate::name::DEFAULT_EXCHANGE;
use crate::naming::Namer;
use crate::router;

/// What a program consists of: services, commands, listeners with their bindings, events.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub(crate) services: BTreeMap<String, ServiceEntry>,
    pub(crate) commands: Vec<CommandEntry>,
    pub(crate) listeners: Vec<ListenerEntry>,
    /// Sorted by exchange and key.
    pub(crate) events: Vec<&'static EventDescriptor>,
    /// The same by the type of their payload.
    events_of: HashMap<TypeId, Vec<&'static EventDescriptor>>,
    pub(crate) links: Vec<&'static Link>,
    pub(crate) crates: BTreeMap<&'static str, Registered>,
}

/// What one crate has registered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registered {
    pub(crate) commands: usize,
    pub(crate) listeners: usize,
    pub(crate) services: BTreeSet<String>,
}

impl Registered {
    /// It has something of this service.
    fn of(&mut self, service: &str) {
        if !self.services.contains(service) {
            self.services.insert(service.to_owned());
        }
    }
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

    /// The exchange and key of every event that the program declares, sorted; not the bus's own,
    /// which are in [`events`](crate::events).
    pub fn events(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let all = self.events.iter().map(|event| (event.exchange, event.key));
        all.filter(|(exchange, key)| !events::is_own(exchange, key))
    }

    /// The exchanges that a pattern without one is bound to: those of the declared events that carry
    /// the payload's type and that it can match, else the default one for a single word, and for a
    /// pattern that hears the bus's own events.
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
            .events_of(payload)
            .filter(|event| router::matches(pattern, event.key))
            .map(|event| event.exchange)
            .collect();
        if !typed.is_empty() {
            return Ok(typed.into_iter().map(str::to_owned).collect());
        }
        if !pattern.contains(['.', '*', '#']) || events::is_heard_by(pattern) {
            return Ok(vec![DEFAULT_EXCHANGE.to_owned()]);
        }
        let known: BTreeSet<&str> = self.events.iter().map(|event| event.exchange).collect();
        Err(known.into_iter().chain([DEFAULT_EXCHANGE]).map(str::to_owned).collect())
    }

    /// The events that carry this type.
    fn events_of(&self, payload: Option<TypeId>) -> impl Iterator<Item = &'static EventDescriptor> {
        let events = payload.and_then(|payload| self.events_of.get(&payload));
        events.into_iter().flatten().copied()
    }

    /// The declared events on an exchange that a pattern matches.
    pub(crate) fn events_at(
        &self,
        exchange: &str,
        pattern: &str,
    ) -> impl Iterator<Item = &'static EventDescriptor> {
        // A pattern without wildcards is a key.
        let least = if pattern.contains(['*', '#']) { "" } else { pattern };
        let is_before = |event: &&EventDescriptor| (event.exchange, event.key) < (exchange, least);
        let first = self.events.partition_point(is_before);
        self.events[first..]
            .iter()
            .copied()
            .take_while(move |event| {
                event.exchange == exchange && (least.is_empty() || event.key == least)
            })
            .filter(move |event| router::matches(pattern, event.key))
    }

    /// Resolves the names of everything in `linked`; adds what cannot be resolved to `faults`.
    pub(crate) fn new(
        linked: impl Iterator<Item = &'static Registration>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut catalog = Self::default();
        let linked: Vec<&'static Registration> = linked.collect();
        let mut seen = HashSet::with_capacity_and_hasher(linked.len(), RandomState::default());
        let mut names = Vec::new();
        let mut commands: Vec<Vec<&'static CommandDescriptor>> = Vec::new();
        let mut listeners = Vec::new();
        let mut services = Vec::new();
        for registration in linked {
            let identity = registration.identity();
            let twice = !seen.insert(identity);
            match registration {
                Registration::Command(command) if twice => {
                    // Both handles must find the one command.
                    let same = commands
                        .iter_mut()
                        .find(|same| Registration::Command(same[0]).identity() == identity);
                    if let Some(same) = same {
                        same.push(command);
                    }
                }
                _ if twice => {}
                Registration::Command(command) => commands.push(vec![command]),
                Registration::Listener(listener) => listeners.push(*listener),
                Registration::Event(event) => {
                    catalog.count(event.place);
                    catalog.events.push(event);
                }
                Registration::Service(service) => services.push(*service),
                Registration::ServiceName(name) => names.push(*name),
                Registration::Link(link) => catalog.links.push(link),
            }
        }
        catalog.events.sort_by_key(|event| (event.exchange, event.key, event.place));
        for event in &catalog.events {
            catalog.events_of.entry((event.payload.type_id)()).or_default().push(event);
        }
        let names_of = Namer::new(names, faults);
        catalog.add_services(&services, &names_of);
        for descriptors in commands {
            let entry = names_of.command(descriptors);
            catalog.add_service(&entry.service, entry.descriptor().body.is_some());
            let count = catalog.count(entry.descriptor().handler.place);
            count.commands += 1;
            count.of(&entry.service);
            catalog.commands.push(entry);
        }
        for listener in listeners {
            catalog.add_listener(listener, &names_of, faults);
        }
        names_of.report_shared(&catalog, faults);
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
            self.count(service.place).of(&name);
            self.services.entry(name.into_owned()).or_default().state = Some(service);
        }
    }

    fn add_service(&mut self, name: &str, runs: bool) {
        if runs && !self.services.contains_key(name) {
            self.services.entry(name.to_owned()).or_default();
        }
    }

    fn count(&mut self, place: Place) -> &mut Registered {
        self.crates.entry(place.krate()).or_default()
    }

    fn add_listener(
        &mut self,
        descriptor: &'static ListenerDescriptor,
        namer: &Namer,
        faults: &mut Vec<Fault>,
    ) {
        let handler = &descriptor.handler;
        let service = namer.service(handler).name.into_owned();
        let name = match descriptor.queue {
            Some(queue) => queue.to_owned(),
            None => format!("{service}.{}", handler.function),
        };
        let bindings = self.bindings(descriptor).unwrap_or_else(|text| {
            faults.push(Fault::at(handler.place, text));
            Vec::new()
        });
        self.add_service(&service, true);
        let count = self.count(handler.place);
        count.listeners += 1;
        count.of(&service);
        let replacement = None;
        self.listeners.push(ListenerEntry { name, service, descriptor, bindings, replacement });
    }

    fn bindings(&self, listener: &ListenerDescriptor) -> Result<Vec<(String, String)>, String> {
        let payload = listener.payload.as_ref().map(|payload| (payload.type_id)());
        match listener.source {
            Source::Topic(event) => Ok(vec![(event.exchange.to_owned(), event.key.to_owned())]),
            Source::Payload => {
                let mut bindings: Vec<(String, String)> = self
                    .events_of(payload)
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
    /// What tells two registrations apart: the same one linked twice is one. The place alone does not,
    /// since all that one `macro_rules!` macro writes stands where that was called.
    fn identity(&self) -> Identity {
        let of_handler = |handler: &Handler| match handler.service {
            ServiceRef::State(service) => (handler.place, handler.function, service.type_name),
            ServiceRef::Named(name) => (handler.place, handler.function, name),
            ServiceRef::Module => (handler.place, handler.function, ""),
        };
        let (place, what, of) = match self {
            Self::Command(command) => of_handler(&command.handler),
            Self::Listener(listener) => of_handler(&listener.handler),
            Self::Event(event) => (event.place, event.key, event.exchange),
            Self::Service(service) => (service.place, service.type_name, ""),
            Self::ServiceName(name) => (name.place, name.name, ""),
            Self::Link(link) => (link.place, link.krate, ""),
        };
        Identity { kind: discriminant(self), place, what, of }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    kind: Discriminant<Registration>,
    place: Place,
    what: &'static str,
    of: &'static str,
}

impl Hash for Identity {
    // Seldom do two share these and differ in the rest.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.place.line, self.place.column, self.what).hash(state);
    }
}
