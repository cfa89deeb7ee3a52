//! What a bus looks up on every firing and call: routes, commands, and whether it takes work.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::binding::Binding;
use crate::command::CommandDescriptor;
use crate::execute_error::NotFound;
use crate::name;
use crate::router::{Route, Router};
use crate::service::Service;
use crate::wire::CommandWire;

/// How many routes of keys are remembered.
const REMEMBERED: usize = 16_384;

/// Keys may come from anybody: each map's hasher has a seed that nobody knows, and of keys no more than
/// so many are kept.
type Map<K, V> = HashMap<K, V, RandomState>;

/// What a bus looks up.
pub(crate) struct Table {
    pub(crate) phase: Phase,
    pub(crate) services: Vec<Arc<Service>>,
    router: Router,
    routes: Map<Arc<str>, Map<Arc<str>, Arc<Route>>>,
    remembered: usize,
    commands: Map<Arc<str>, Arc<Command>>,
    linked: Map<usize, Linked>,
}

/// Whether a bus takes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// From everybody.
    Open,
    /// From handlers that finish what was accepted.
    Draining,
    /// From nobody.
    Closed,
}

/// A command that this process serves.
pub(crate) struct Command {
    pub(crate) name: Arc<str>,
    pub(crate) binding: Arc<Binding>,
    /// How it is executed by name; nothing for a local one.
    pub(crate) by_name: Option<ByName>,
}

impl Command {
    /// Whether a call that is made for `wire` can be given to it as it is.
    pub(crate) fn takes(&self, wire: &CommandWire) -> bool {
        match &self.by_name {
            Some(ByName::Linked(own)) => own.agrees_with(wire),
            Some(ByName::Closure) | None => false,
        }
    }
}

/// How a command is executed by name.
#[derive(Clone, Copy)]
pub(crate) enum ByName {
    Linked(CommandWire),
    Closure,
}

/// What a descriptor stands for on this bus.
struct Linked {
    name: Arc<str>,
    command: Option<Arc<Command>>,
}

impl Table {
    pub(crate) fn new(services: Vec<Arc<Service>>) -> Self {
        Self {
            phase: Phase::Open,
            services,
            router: Router::default(),
            routes: Map::default(),
            remembered: 0,
            commands: Map::default(),
            linked: Map::default(),
        }
    }

    /// Whether work is taken, from a handler of this bus or from outside.
    pub(crate) fn accepts(&self, from_handler: impl FnOnce() -> bool) -> bool {
        match self.phase {
            Phase::Open => true,
            Phase::Draining => from_handler(),
            Phase::Closed => false,
        }
    }

    /// The listeners of a key, if they were looked up before.
    pub(crate) fn remembered(&self, exchange: &str, key: &str) -> Option<&Arc<Route>> {
        self.routes.get(exchange)?.get(key)
    }

    /// Looks the listeners of a key up and remembers them.
    pub(crate) fn remember(&mut self, exchange: &str, key: &str) {
        if self.remembered >= REMEMBERED {
            self.forget();
        }
        let route = self.router.route(exchange, key);
        let (exchange, key): (Arc<str>, Arc<str>) = (exchange.into(), key.into());
        let route = Arc::new(route.of(exchange.clone(), key.clone()));
        if self.routes.entry(exchange).or_default().insert(key, route).is_none() {
            self.remembered += 1;
        }
    }

    fn forget(&mut self) {
        self.routes.clear();
        self.remembered = 0;
    }

    pub(crate) fn bind(&mut self, exchange: &str, pattern: &str, binding: &Arc<Binding>) {
        self.router.bind(exchange, pattern, binding.clone());
        self.forget();
    }

    pub(crate) fn unbind(&mut self, exchange: &str, pattern: &str, binding: &Arc<Binding>) {
        self.router.unbind(exchange, pattern, binding);
        self.forget();
    }

    /// Serves a command, unless its name is taken.
    pub(crate) fn serve(&mut self, command: Arc<Command>) -> Result<(), Arc<Command>> {
        if let Some(taken) = self.commands.get(&command.name) {
            return Err(taken.clone());
        }
        self.commands.insert(command.name.clone(), command);
        Ok(())
    }

    pub(crate) fn unserve(&mut self, command: &Arc<Command>) {
        if self.commands.get(&command.name).is_some_and(|served| Arc::ptr_eq(served, command)) {
            self.commands.remove(&command.name);
        }
    }

    /// Tells which command of this bus a descriptor stands for; none if it is served elsewhere.
    pub(crate) fn link(
        &mut self,
        descriptor: &'static CommandDescriptor,
        name: Arc<str>,
        command: Option<Arc<Command>>,
    ) {
        self.linked.insert(address(descriptor), Linked { name, command });
    }

    /// The command that a descriptor stands for.
    pub(crate) fn linked(
        &self,
        descriptor: &'static CommandDescriptor,
    ) -> Result<&Arc<Command>, NotFound> {
        match self.linked.get(&address(descriptor)) {
            Some(Linked { command: Some(command), .. }) => Ok(command),
            Some(Linked { name, .. }) => self.command(name),
            None => self.command(descriptor.name.unwrap_or(descriptor.handler.function)),
        }
    }

    /// The command of this name.
    pub(crate) fn command(&self, name: &str) -> Result<&Arc<Command>, NotFound> {
        self.commands.get(name).ok_or_else(|| NotFound {
            command: name.to_owned(),
            near: name::near(name, self.commands.keys().map(|known| &**known)),
        })
    }

    /// Every command that is served here.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &Arc<Command>> {
        self.commands.values()
    }

    /// Every bound listener.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = Arc<Binding>> {
        self.router.bindings().into_iter()
    }

    /// Every bound handler.
    pub(crate) fn bindings(&self) -> Vec<Arc<Binding>> {
        let commands = self.commands().map(|command| command.binding.clone());
        commands.chain(self.listeners()).collect()
    }
}

fn address(descriptor: &'static CommandDescriptor) -> usize {
    std::ptr::from_ref(descriptor).addr()
}
