//! How services and handlers get their names: from the modules that they stand in, unless somebody
//! says otherwise.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::catalog::{Catalog, CommandEntry};
use crate::command::CommandDescriptor;
use crate::error::Fault;
use crate::handler::{Handler, Place, ServiceDescriptor, ServiceName, ServiceRef};

/// Gives services and handlers their names.
pub(crate) struct Namer {
    names: Vec<&'static ServiceName>,
}

/// The service of a module.
pub(crate) struct Named {
    pub(crate) name: Cow<'static, str>,
    /// Its handlers are named without it: the root of a crate, where nothing names the service.
    bare: bool,
    /// It is named by somebody, not by where it stands.
    said: bool,
}

impl Namer {
    pub(crate) fn new(mut names: Vec<&'static ServiceName>, faults: &mut Vec<Fault>) -> Self {
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
            return Named { name: nearest.name.into(), bare: false, said: true };
        }
        let Some(krate) = module.find(':') else {
            return Named { name: module.into(), bare: true, said: false };
        };
        let below = &module[krate + 2..];
        let top = below.find(':').map_or(below, |end| &below[..end]);
        Named { name: top.into(), bare: false, said: false }
    }

    pub(crate) fn state(&self, service: &ServiceDescriptor) -> Cow<'static, str> {
        if let Some(name) = service.name {
            return name.into();
        }
        let module = self.module(service.place.module);
        if module.bare {
            service.type_name.into()
        } else {
            format!("{}.{}", module.name, service.type_name).into()
        }
    }

    pub(crate) fn service(&self, handler: &Handler) -> Named {
        match handler.service {
            ServiceRef::Module => self.module(handler.place.module),
            ServiceRef::Named(name) => Named { name: name.into(), bare: false, said: true },
            ServiceRef::State(service) => {
                Named { name: self.state(service), bare: false, said: true }
            }
        }
    }

    pub(crate) fn command(&self, descriptors: Vec<&'static CommandDescriptor>) -> CommandEntry {
        let descriptor = descriptors[0];
        let service = self.service(&descriptor.handler);
        let name = match descriptor.serves {
            Some(contract) => self.command_name(contract()),
            None => Self::name_in(&service, descriptor),
        };
        CommandEntry { name, service: service.name.into_owned(), descriptors, replacement: None }
    }

    fn command_name(&self, descriptor: &CommandDescriptor) -> String {
        match descriptor.serves {
            Some(contract) => self.command_name(contract()),
            None => Self::name_in(&self.service(&descriptor.handler), descriptor),
        }
    }

    fn name_in(service: &Named, descriptor: &CommandDescriptor) -> String {
        if let Some(name) = descriptor.name {
            return name.to_owned();
        }
        if service.bare {
            descriptor.handler.function.to_owned()
        } else {
            format!("{}.{}", service.name, descriptor.handler.function)
        }
    }

    /// Modules of one name in two crates are one service only where both say so.
    pub(crate) fn report_shared(&self, catalog: &Catalog, faults: &mut Vec<Fault>) {
        let handlers = catalog
            .commands
            .iter()
            .filter(|command| !command.is_contract())
            .map(|command| &command.descriptor().handler)
            .chain(catalog.listeners.iter().map(|listener| &listener.descriptor.handler));
        let mut owners: BTreeMap<Cow<'_, str>, BTreeMap<&str, (bool, Place)>> = BTreeMap::new();
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
