//! How far each request is, for all who ask: in memory, or in Redis.

mod memory;
mod redis;

use bus::prelude::*;

pub use self::memory::Memory;
pub use self::redis::Redis;
use crate::contracts::{self, Status, Unavailable};

/// Keeps how far each request is.
pub trait Store: Send + Sync {
    /// Takes an id, unless it was taken before.
    ///
    /// # Errors
    ///
    /// If the store is not there.
    fn claim(&self, id: &str) -> Result<bool, Unavailable>;

    /// Brings a request forward, and never back; `false` if it was there already, or further.
    ///
    /// # Errors
    ///
    /// If the store is not there.
    fn update(&self, id: &str, status: &Status) -> Result<bool, Unavailable>;

    /// How far a request is.
    ///
    /// # Errors
    ///
    /// If the store is not there.
    fn status(&self, id: &str) -> Result<Option<Status>, Unavailable>;
}

/// The store that `STATE_URL` names: `memory:`, the default, or `redis://host:port`.
///
/// # Errors
///
/// For a URL that is none of these.
pub fn open(url: Option<&str>) -> Result<Box<dyn Store>, Unavailable> {
    match url {
        None | Some("" | "memory:") => Ok(Box::new(Memory::default())),
        Some(url) if url.starts_with("redis:") => Ok(Box::new(Redis::new(url)?)),
        Some(_) => {
            Err(Unavailable("`STATE_URL` is neither `memory:` nor `redis://host:port`".into()))
        }
    }
}

/// Where a status stands in the order in which they follow each other.
fn rank(status: &Status) -> u8 {
    match status {
        Status::Accepted => 0,
        Status::Processing => 1,
        Status::Solved { .. } | Status::Unsolvable => 2,
    }
}

#[command(serves = contracts::claim)]
fn claim(id: &str, store: State<Box<dyn Store>>) -> Result<bool, Unavailable> {
    store.claim(id)
}

#[command(serves = contracts::update)]
fn update(id: &str, status: &Status, store: State<Box<dyn Store>>) -> Result<bool, Unavailable> {
    store.update(id, status)
}

#[command(serves = contracts::status)]
fn status(id: &str, store: State<Box<dyn Store>>) -> Result<Option<Status>, Unavailable> {
    store.status(id)
}
