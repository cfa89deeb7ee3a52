//! Whether the connections are there, for those who ask from other threads.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use autobus_core::transport::Status;

/// The state of both connections.
#[derive(Debug)]
pub(crate) struct Health(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    closed: bool,
    links: [State; 2],
}

/// Which connection. A broker that is short of memory or disk stops reading from those
/// that publish; acknowledgements go another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Publish,
    Consume,
    /// One that is there while somebody looks at dead letters.
    Look,
}

impl Role {
    /// What it is called at the broker.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
            Self::Look => "dead letters",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum State {
    Down { since: Instant, reason: String },
    Up,
    Blocked(String),
}

impl Health {
    pub(crate) fn new() -> Self {
        let down = || State::Down { since: Instant::now(), reason: "not connected yet".to_owned() };
        Self(Mutex::new(Inner { closed: false, links: [down(), down()] }))
    }

    pub(crate) fn set(&self, role: Role, state: State) {
        self.lock().links[role as usize] = state;
    }

    /// It is down, since it was last up, for this reason.
    pub(crate) fn down(&self, role: Role, reason: String) {
        let mut inner = self.lock();
        let link = &mut inner.links[role as usize];
        let since = match link {
            State::Down { since, .. } => *since,
            State::Up | State::Blocked(_) => Instant::now(),
        };
        *link = State::Down { since, reason };
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    pub(crate) fn status(&self) -> Status {
        let inner = self.lock();
        if inner.closed {
            return Status::Closed;
        }
        let down = inner.links.iter().filter_map(|link| match link {
            State::Down { since, reason } => Some((*since, reason.clone())),
            State::Up | State::Blocked(_) => None,
        });
        if let Some((since, reason)) = down.min_by_key(|(since, _)| *since) {
            return Status::Disconnected { since, reason };
        }
        let blocked = inner.links.iter().find_map(|link| match link {
            State::Blocked(reason) => Some(reason.clone()),
            State::Up | State::Down { .. } => None,
        });
        blocked.map_or(Status::Connected, Status::Blocked)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
