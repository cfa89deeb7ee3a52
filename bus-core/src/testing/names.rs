//! Finding a handler by what people call it.

use std::sync::Arc;

use crate::bus::Bus;
use crate::catalog::{CommandEntry, ListenerEntry};
use crate::name;

/// Handlers by name.
#[derive(Default)]
pub(super) struct Handlers(Vec<Named>);

struct Named {
    name: Arc<str>,
    /// `service.function`, where a listener is named after its queue or a command by its attribute.
    path: Option<String>,
}

impl Handlers {
    pub(super) fn add_command(&mut self, entry: &CommandEntry) {
        let path = format!("{}.{}", entry.service, entry.descriptor().handler.function);
        self.0.push(Named { name: entry.name.as_str().into(), path: Some(path) });
    }

    pub(super) fn add_listener(&mut self, entry: &ListenerEntry) {
        let path = format!("{}.{}", entry.service, entry.descriptor.handler.function);
        self.0.push(Named { name: entry.name.as_str().into(), path: Some(path) });
    }

    /// Everything that runs on `bus`, closures included.
    pub(super) fn of_bus(bus: &Bus) -> Self {
        let running = bus.table().bindings();
        let mut all = Self::default();
        bus.catalog().commands.iter().for_each(|entry| all.add_command(entry));
        bus.catalog().listeners.iter().for_each(|entry| all.add_listener(entry));
        all.0.retain(|known| running.iter().any(|binding| binding.name == known.name));
        for binding in running {
            if !all.0.iter().any(|known| known.name == binding.name) {
                all.0.push(Named { name: binding.name.clone(), path: None });
            }
        }
        all
    }

    /// The whole name of the handler that is called `wanted`; else the names that are near.
    pub(super) fn find(&self, wanted: &str) -> Result<Arc<str>, Vec<String>> {
        let exact = |named: &&Named| *named.name == *wanted;
        let by_path = |named: &&Named| named.path.as_deref() == Some(wanted);
        let by_function = |named: &&Named| {
            let path = named.path.as_deref().unwrap_or(&named.name);
            path.rsplit('.').next() == Some(wanted)
        };
        let mut found = self.0.iter().find(exact).or_else(|| self.0.iter().find(by_path));
        if found.is_none() {
            let mut all = self.0.iter().filter(by_function);
            found = all.next().filter(|first| all.all(|other| other.name == first.name));
        }
        found.map(|named| named.name.clone()).ok_or_else(|| self.near(wanted))
    }

    fn near(&self, wanted: &str) -> Vec<String> {
        let paths = self.0.iter().filter_map(|named| named.path.as_deref());
        let mut names: Vec<&str> = self.0.iter().map(|named| &*named.name).chain(paths).collect();
        names.sort_unstable();
        names.dedup();
        name::near(wanted, names.into_iter())
    }
}

/// That nothing is called `wanted`.
pub(super) fn unknown(what: &str, wanted: &str, near: &[String]) -> String {
    let mut text = format!("there is no {what} `{wanted}`");
    if !near.is_empty() {
        text.push_str("; did you mean ");
        text.push_str(&name::list(near));
    }
    text
}
