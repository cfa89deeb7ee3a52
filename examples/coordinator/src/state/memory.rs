//! In the memory of the process that runs the service `state`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Store, rank};
use crate::contracts::{Status, Unavailable};

/// Keeps requests as long as the process lives.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<String, Status>>);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Status>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn claim(&self, id: &str) -> Result<bool, Unavailable> {
        let mut requests = self.lock();
        let free = !requests.contains_key(id);
        if free {
            requests.insert(id.to_owned(), Status::Accepted);
        }
        Ok(free)
    }

    fn update(&self, id: &str, status: &Status) -> Result<bool, Unavailable> {
        match self.lock().entry(id.to_owned()) {
            Entry::Occupied(mut entry) => {
                let forward = rank(status) > rank(entry.get());
                if forward {
                    entry.insert(status.clone());
                }
                Ok(forward)
            }
            Entry::Vacant(entry) => {
                entry.insert(status.clone());
                Ok(true)
            }
        }
    }

    fn status(&self, id: &str) -> Result<Option<Status>, Unavailable> {
        Ok(self.lock().get(id).cloned())
    }
}
