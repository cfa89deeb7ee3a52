//! Closures in the place of handlers, and services that are left out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::names::{self, Handlers};
use crate::catalog::Catalog;
use crate::closure::Closure;
use crate::command::CommandDescriptor;
use crate::error::{ErrorKind, Fault};
use crate::name::{is_below, list};

/// What a test bus runs in the place of what was linked.
#[derive(Default)]
pub(crate) struct Replacements {
    pub(super) commands: Vec<(Command, Closure)>,
    pub(super) listeners: Vec<(String, Closure)>,
    pub(super) without: Vec<String>,
}

impl std::fmt::Debug for Replacements {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replacements").field("without", &self.without).finish_non_exhaustive()
    }
}

/// A command that is to be replaced.
pub(super) enum Command {
    Handle(&'static CommandDescriptor),
    Named(String),
}

impl Replacements {
    /// Marks what is replaced or left out; what cannot be is a fault.
    pub(crate) fn apply(&self, catalog: &mut Catalog, faults: &mut Vec<Fault>) {
        for unwanted in &self.without {
            let mut any = false;
            for (name, service) in &mut catalog.services {
                if is_below(name, unwanted) {
                    any = true;
                    service.selected = false;
                }
            }
            if !any {
                let services = list(catalog.services.keys());
                let text = format!(
                    "there is no service `{unwanted}` to leave out; the services are {services}"
                );
                faults.push(missing(text));
            }
        }
        let mut services = BTreeSet::new();
        for (command, closure) in &self.commands {
            match replace_command(catalog, command, closure) {
                Ok(service) => drop(services.insert(service)),
                Err(fault) => faults.push(fault),
            }
        }
        for (listener, closure) in &self.listeners {
            match replace_listener(catalog, listener, closure) {
                Ok(service) => drop(services.insert(service)),
                Err(fault) => faults.push(fault),
            }
        }
        for service in services {
            catalog.services.entry(service).or_default().stands_in = true;
        }
    }
}

fn missing(text: String) -> Fault {
    Fault::outside(ErrorKind::NotFound, text)
}

fn replace_command(
    catalog: &mut Catalog,
    command: &Command,
    closure: &Closure,
) -> Result<String, Fault> {
    let name: Arc<str> = match command {
        Command::Handle(descriptor) => {
            let mut entries = catalog.commands.iter();
            let entry = entries.find(|entry| {
                entry.descriptors.iter().any(|known| std::ptr::eq(*known, *descriptor))
            });
            let function = descriptor.handler.function;
            entry.map(|entry| entry.name.as_str().into()).ok_or_else(|| {
                missing(format!("the command `{function}` is not linked, so nothing replaces it"))
            })?
        }
        Command::Named(wanted) => {
            let mut known = Handlers::default();
            catalog.commands.iter().for_each(|entry| known.add_command(entry));
            known.find(wanted).map_err(|near| missing(names::unknown("command", wanted, &near)))?
        }
    };
    // A contract is served in the place of its implementation, if that is linked.
    let served = |entry: &&mut crate::catalog::CommandEntry| *entry.name == *name;
    let is_implemented =
        catalog.commands.iter().any(|entry| *entry.name == *name && !entry.is_contract());
    let mut service = String::new();
    for entry in catalog.commands.iter_mut().filter(served) {
        if entry.descriptor().wire.is_none() {
            let text = format!(
                "the command `{name}` is local: its arguments have no codec, which a closure needs"
            );
            return Err(Fault::outside(ErrorKind::Unsupported, text));
        }
        if is_implemented && entry.is_contract() {
            continue;
        }
        entry.replacement = Some(closure.clone());
        service.clone_from(&entry.service);
    }
    Ok(service)
}

fn replace_listener(
    catalog: &mut Catalog,
    wanted: &str,
    closure: &Closure,
) -> Result<String, Fault> {
    let mut known = Handlers::default();
    catalog.listeners.iter().for_each(|entry| known.add_listener(entry));
    let name =
        known.find(wanted).map_err(|near| missing(names::unknown("listener", wanted, &near)))?;
    let mut service = String::new();
    for entry in catalog.listeners.iter_mut().filter(|entry| *entry.name == *name) {
        entry.replacement = Some(closure.clone());
        service.clone_from(&entry.service);
    }
    Ok(service)
}
