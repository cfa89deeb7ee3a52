//! Commands: calls on their way to who serves them, and answers on their way back.

use std::time::Duration;

use super::effects::Effects;
use super::line::{Line, Parcel};
use super::state::{Key, State};
use crate::error::Result;
use crate::transport::{CallError, Envelope, Resolver, Settlement, Sink};

/// The calls of a command that nobody has got yet; there as long as somebody serves it.
#[derive(Debug, Default)]
pub(super) struct Served(pub(super) Line);

/// A call that is not answered.
pub(super) struct Call {
    /// Who asked.
    pub(super) connection: u64,
    pub(super) key: Key,
    done: Resolver<Envelope, CallError>,
}

impl State {
    pub(super) fn serve(
        &mut self,
        connection: u64,
        command: &str,
        prefetch: u16,
        sink: Sink,
        effects: &mut Effects,
    ) -> Result<u64> {
        self.open(connection)?;
        let key = Key::Command(command.into());
        self.commands.entry(key.clone()).or_default();
        Ok(self.join(connection, &key, prefetch, sink, effects))
    }

    pub(super) fn call(
        &mut self,
        connection: u64,
        command: &str,
        mut message: Envelope,
        timeout: Duration,
        done: Resolver<Envelope, CallError>,
        effects: &mut Effects,
    ) {
        if let Err(error) = self.admit(connection, &mut message) {
            return effects.resolve(done, Err(CallError::Unsent(error.to_string())));
        }
        let key = Key::Command(command.into());
        if !self.commands.contains_key(&key) {
            return effects.resolve(done, Err(CallError::Unserved));
        }
        let id = self.id();
        self.calls.insert(id, Call { connection, key: key.clone(), done });
        self.put(&key, Parcel::call(message, id), effects);
        self.expire_later(connection, id, &key, timeout, effects);
    }

    /// Has a call that waits expire; one that has reached a server is that server's.
    fn expire_later(
        &self,
        connection: u64,
        id: u64,
        key: &Key,
        timeout: Duration,
        effects: &mut Effects,
    ) {
        let waits = self.commands.get(key).is_some_and(|served| served.0.len() > 0);
        let Some(asking) = self.connections.get(&connection).filter(|_| waits) else { return };
        let (broker, clock) = (self.broker.clone(), asking.clock.clone());
        let at = clock.after(timeout);
        effects.then(move || {
            clock.at(at, move || {
                if let Some(broker) = broker.upgrade() {
                    broker.with(|state, effects| state.expire(id, effects));
                }
            });
        });
    }

    fn expire(&mut self, id: u64, effects: &mut Effects) {
        self.withdraw(id, "its time was over before a server had room for it", effects);
    }

    /// Takes a call back that no server has got yet; `false` if one has.
    pub(super) fn withdraw(&mut self, id: u64, why: &str, effects: &mut Effects) -> bool {
        let Some(key) = self.calls.get(&id).map(|call| call.key.clone()) else { return false };
        let waited = self.line(&key).is_some_and(|line| line.withdraw(id).is_some());
        if waited {
            self.fail(id, CallError::Unsent(why.to_owned()), effects);
        }
        waited
    }

    /// Settles a call that a server had.
    pub(super) fn answer(&mut self, id: u64, how: Settlement, effects: &mut Effects) {
        match how {
            Settlement::Reply(answer) => {
                if let Some(call) = self.calls.remove(&id) {
                    effects.resolve(call.done, Ok(*answer));
                }
            }
            // It may have run, so it must not run again.
            _ => self.fail(id, CallError::Interrupted, effects),
        }
    }

    /// Gives a call that did not start to another server.
    pub(super) fn pass_on(&mut self, key: &Key, parcel: Parcel, effects: &mut Effects) {
        match (self.line(key), parcel.call) {
            (Some(line), _) => line.put_back(parcel, false),
            (None, Some(call)) => self.fail(call, CallError::Unserved, effects),
            (None, None) => {}
        }
    }

    pub(super) fn fail(&mut self, id: u64, error: CallError, effects: &mut Effects) {
        if let Some(call) = self.calls.remove(&id) {
            effects.resolve(call.done, Err(error));
        }
    }

    /// A command that nobody serves any more is gone, and what waited for it never ran.
    pub(super) fn forget_unserved(&mut self, key: &Key, effects: &mut Effects) {
        if self.commands.get(key).is_none_or(|served| served.0.consumers() > 0) {
            return;
        }
        let waited: Vec<Parcel> = self
            .commands
            .remove(key)
            .into_iter()
            .flat_map(|mut served| served.0.drain().collect::<Vec<_>>())
            .collect();
        for call in waited.into_iter().filter_map(|parcel| parcel.call) {
            self.fail(call, CallError::Unserved, effects);
        }
    }
}
