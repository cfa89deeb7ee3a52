//! The rules of wiring: what keeps a program from starting, and what is worth a warning.

use std::collections::{BTreeMap, HashSet};

use crate::catalog::Catalog;
use crate::dynamic::{self, Planned};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::event::{EventDescriptor, ListenerDescriptor};
use crate::events;
use crate::handler::{Needs, Place};
use crate::name::{self, DEFAULT_EXCHANGE, is_below, list};
use crate::state::States;
use crate::upcast::Upcasts;

/// What is wrong with the wiring of a program, and what may be.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// let report = bus::Builder::new().services(["billing"]).verify();
/// assert_eq!(report.faults().len(), 1); // there is no such service
/// print!("{report}");
/// assert_eq!(report.ok().unwrap_err().kind(), bus::ErrorKind::Wiring);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl Report {
    /// What keeps the program from starting, sorted by place.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What is worth a look: a pattern that matches no declared event, an event nobody hears, a
    /// command nobody serves, a crate that was linked and registers nothing.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// Turns the faults into one error.
    ///
    /// # Errors
    ///
    /// `Wiring`, if there are any.
    pub fn ok(self) -> Result<()> {
        if self.faults.is_empty() { Ok(()) } else { Err(Error::wiring(self.faults)) }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for fault in &self.faults {
            writeln!(f, "error: {fault}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

/// Marks the services that were asked for, all if `wanted` is empty.
pub(crate) fn select(catalog: &mut Catalog, wanted: &[String], faults: &mut Vec<Fault>) {
    for (name, service) in &mut catalog.services {
        service.selected = wanted.is_empty() || wanted.iter().any(|wanted| is_below(name, wanted));
    }
    for wanted in wanted {
        if !catalog.services.keys().any(|name| is_below(name, wanted)) {
            let text = format!(
                "there is no service `{wanted}`; the services are {}; is its crate linked? name \
                 it in `bus::link!(..)`",
                list(catalog.services.keys())
            );
            faults.push(Fault::outside(ErrorKind::Wiring, text));
        }
    }
}

/// What closures of the builder are named, and what they hear.
pub(crate) fn closures(catalog: &Catalog, planned: &[Planned], faults: &mut Vec<Fault>) {
    let mut names = HashSet::new();
    for planned in planned {
        let fault = match planned {
            Planned::Command(name, _) => {
                let taken = catalog.commands.iter().find(|command| {
                    command.name == *name
                        && !command.is_contract()
                        && is_selected(catalog, &command.service)
                });
                let place = taken.map(|command| command.descriptor().handler.place);
                match name::check_name(name) {
                    Err(error) => Some((ErrorKind::Name, error.to_string())),
                    Ok(()) if place.is_none() && names.insert(name) => None,
                    Ok(()) => Some((ErrorKind::Duplicate, dynamic::served_already(name, place))),
                }
            }
            Planned::Listener(pattern, closure) => {
                let exchanges = pattern.exchanges(catalog, closure);
                exchanges.err().map(|error| (error.kind(), error.to_string()))
            }
        };
        faults.extend(fault.map(|(kind, text)| Fault::outside(kind, text)));
    }
}

/// Applies every rule.
pub(crate) fn verify(catalog: &Catalog, states: &States, mut faults: Vec<Fault>) -> Report {
    commands_are_served_once(catalog, &mut faults);
    queues_are_consumed_once(catalog, &mut faults);
    states_are_there(catalog, states, &mut faults);
    payloads_fit(catalog, &mut faults);
    events_agree(catalog, &mut faults);
    names_are_names(catalog, &mut faults);
    let mut warnings = Vec::new();
    warn_of_idle_patterns(catalog, &mut warnings);
    warn_of_unheard_events(catalog, &mut warnings);
    warn_of_unserved_commands(catalog, &mut warnings);
    warn_of_empty_crates(catalog, &mut warnings);
    Fault::sort(&mut faults);
    Fault::sort(&mut warnings);
    Report { faults, warnings }
}

/// A caller must know who answers.
fn commands_are_served_once(catalog: &Catalog, faults: &mut Vec<Fault>) {
    let served = catalog
        .commands
        .iter()
        .filter(|command| !command.is_contract() && is_selected(catalog, &command.service))
        .map(|command| (command.name.as_str(), command.descriptor().handler.place));
    once(served, faults, |name, other| {
        format!(
            "the command `{name}` is implemented twice, here and at {other}; give one another \
             name: `#[command(\"…\")]`"
        )
    });
}

/// Two listeners of one queue would each receive a part of its messages.
fn queues_are_consumed_once(catalog: &Catalog, faults: &mut Vec<Fault>) {
    let queues = catalog
        .listeners
        .iter()
        .filter(|listener| is_selected(catalog, &listener.service))
        .map(|listener| (listener.name.as_str(), listener.descriptor.handler.place));
    once(queues, faults, |name, other| {
        format!(
            "the queue `{name}` has two listeners, here and at {other}; give one another: \
             `queue = \"…\"`"
        )
    });
}

/// Reports every name that is there twice, at each place but the first. The names are sorted.
fn once<'a>(
    named: impl Iterator<Item = (&'a str, Place)>,
    faults: &mut Vec<Fault>,
    text: impl Fn(&str, Place) -> String,
) {
    let mut first = None;
    for (name, place) in named {
        match first {
            Some((known, other)) if known == name => {
                faults.push(Fault::at(place, text(name, other)));
            }
            _ => first = Some((name, place)),
        }
    }
}

fn is_selected(catalog: &Catalog, service: &str) -> bool {
    catalog.services.get(service).is_some_and(|service| service.selected)
}

/// What a handler takes must be there before the first message is.
fn states_are_there(catalog: &Catalog, states: &States, faults: &mut Vec<Fault>) {
    // What stands in for a handler needs nothing of it.
    let commands = catalog.commands.iter().filter(|command| command.replacement.is_none());
    let commands = commands.map(|command| {
        let handler = &command.descriptor().handler;
        (&command.service, handler.function, handler.place, handler.needs)
    });
    let listeners = catalog.listeners.iter().filter(|listener| listener.replacement.is_none());
    let listeners = listeners.map(|listener| {
        let handler = &listener.descriptor.handler;
        (&listener.service, handler.function, handler.place, handler.needs)
    });
    let services = catalog.services.iter().filter_map(|(name, service)| {
        let state = service.state?;
        Some((name, state.type_name, state.place, state.needs))
    });
    for (service, function, place, needs) in commands.chain(listeners).chain(services) {
        if !is_selected(catalog, service) {
            continue;
        }
        for need in Needs::of(needs).states() {
            if !states.has(need.type_id) {
                let text = format!(
                    "`{function}` takes `State<{}>`, which the bus does not have; give it one: \
                     `bus::builder().state(..)`; it has {}",
                    need.type_name,
                    list(states.names())
                );
                faults.push(Fault::at(place, text));
            }
        }
    }
}

/// Every declared event that a listener hears must be able to become its payload.
fn payloads_fit(catalog: &Catalog, faults: &mut Vec<Fault>) {
    let upcasts = Upcasts::new(&catalog.events);
    for listener in &catalog.listeners {
        if !is_selected(catalog, &listener.service) || listener.replacement.is_some() {
            continue;
        }
        for event in heard(catalog, &listener.bindings) {
            if let Some(text) = misfit(listener.descriptor, event, &upcasts) {
                faults.push(Fault::at(listener.descriptor.handler.place, text));
            }
        }
    }
}

fn misfit(
    listener: &ListenerDescriptor,
    event: &EventDescriptor,
    upcasts: &Upcasts,
) -> Option<String> {
    let wanted = listener.payload.as_ref()?;
    let (from, to) = ((event.payload.type_id)(), (wanted.type_id)());
    let fits = from == to
        || upcasts.path(from, to).is_some()
        || (event.payload.codec.encode.is_some() && wanted.codec.decode.is_some());
    (!fits).then(|| {
        format!(
            "`{}` takes `{}`, and the event `{}` that it hears carries `{}` ({}), which cannot \
             become that; declare `upcasts(..)`, or make both serde types",
            listener.handler.function,
            (wanted.type_name)(),
            event.key,
            (event.payload.type_name)(),
            event.place
        )
    })
}

/// A key has one payload type, or nobody could decode it.
fn events_agree(catalog: &Catalog, faults: &mut Vec<Fault>) {
    let mut first: BTreeMap<(&str, &str), &EventDescriptor> = BTreeMap::new();
    for event in &catalog.events {
        let known = first.entry((event.exchange, event.key)).or_insert(event);
        if (known.payload.type_id)() != (event.payload.type_id)() {
            let text = format!(
                "the event `{}` on exchange `{}` carries `{}` here and `{}` at {}; a key has one \
                 payload type",
                event.key,
                event.exchange,
                (event.payload.type_name)(),
                (known.payload.type_name)(),
                known.place
            );
            faults.push(Fault::at(event.place, text));
        }
    }
}

/// Names that come from modules and functions meet the bus's alphabet here.
fn names_are_names(catalog: &Catalog, faults: &mut Vec<Fault>) {
    for command in &catalog.commands {
        if let Err(error) = name::check_name(&command.name) {
            let text = format!("{error}; name it: `#[command(\"…\")]`");
            faults.push(Fault::at(command.descriptor().handler.place, text));
        }
    }
    let commands = catalog.commands.iter().map(|command| {
        (&command.service, command.is_contract(), command.descriptor().handler.place)
    });
    let listeners = catalog
        .listeners
        .iter()
        .map(|listener| (&listener.service, false, listener.descriptor.handler.place));
    for (service, contract, place) in commands.chain(listeners) {
        if !contract && service == dynamic::SERVICE {
            let text = format!(
                "the service `{service}` is the bus's own, for closures; give this one another \
                 name: `bus::service_name!(\"…\")`"
            );
            faults.push(Fault::at(place, text));
        }
    }
}

/// The declared events that any of `bindings` matches; those that two of them match, twice.
fn heard<'a>(
    catalog: &'a Catalog,
    bindings: &'a [(String, String)],
) -> impl Iterator<Item = &'static EventDescriptor> + 'a {
    bindings.iter().flat_map(|(exchange, pattern)| catalog.events_at(exchange, pattern))
}

fn warn_of_idle_patterns(catalog: &Catalog, warnings: &mut Vec<Fault>) {
    for listener in &catalog.listeners {
        // Events on the default exchange are fired by name and declared nowhere.
        let by_name = listener.bindings.iter().any(|(exchange, _)| exchange == DEFAULT_EXCHANGE);
        if !by_name && heard(catalog, &listener.bindings).next().is_none() {
            let text = format!("`{}` hears no declared event", listener.name);
            warnings.push(Fault::at(listener.descriptor.handler.place, text));
        }
    }
}

fn warn_of_unheard_events(catalog: &Catalog, warnings: &mut Vec<Fault>) {
    let heard: HashSet<(&str, &str)> = catalog
        .listeners
        .iter()
        .flat_map(|listener| heard(catalog, &listener.bindings))
        .map(|event| (event.exchange, event.key))
        .collect();
    for event in &catalog.events {
        let own = events::is_own(event.exchange, event.key);
        if !own && !heard.contains(&(event.exchange, event.key)) {
            let text =
                format!("nobody hears the event `{}` on exchange `{}`", event.key, event.exchange);
            warnings.push(Fault::at(event.place, text));
        }
    }
}

fn warn_of_unserved_commands(catalog: &Catalog, warnings: &mut Vec<Fault>) {
    for contract in catalog.commands.iter().filter(|command| command.is_contract()) {
        // They are sorted by name.
        let first = catalog.commands.partition_point(|command| command.name < contract.name);
        let mut same =
            catalog.commands[first..].iter().take_while(|command| command.name == contract.name);
        let served =
            same.any(|command| !command.is_contract() && is_selected(catalog, &command.service));
        if !served {
            let text = format!("nobody serves the command `{}` in this process", contract.name);
            warnings.push(Fault::at(contract.descriptor().handler.place, text));
        }
    }
}

fn warn_of_empty_crates(catalog: &Catalog, warnings: &mut Vec<Fault>) {
    for link in &catalog.links {
        let known = catalog.crates.contains_key(link.krate);
        if !known {
            let text = format!("the linked crate `{}` registers nothing", link.krate);
            warnings.push(Fault::at(link.place, text));
        }
    }
}
