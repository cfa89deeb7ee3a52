//! Waiting on a thread, inside of handlers and elsewhere.
//!
//! Outside of handlers the thread parks. Inside of one, the wait is noted first, so that one that
//! would never end is answered at once; then the thread's service goes on in the meantime.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use crate::bus::Bus;
use crate::current;
use crate::execute_error::Cycle;
use crate::park;
use crate::service::stand;
use crate::waits::{Target, Wait};

/// How many handlers of one bus may block their threads at once.
const MOST: usize = 1_024;

/// Why a wait does not begin.
pub(crate) enum Refusal {
    /// It would close a cycle.
    Deadlock(Cycle),
    /// Too many handlers wait already.
    Exhausted,
}

/// Blocks until `poll` is ready; `None` once the deadline has passed.
pub(crate) fn block<T>(
    deadline: Option<Instant>,
    targets: impl FnOnce() -> Vec<Target>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<Option<T>, Refusal> {
    let Some(bus) = current::bus() else {
        return Ok(park::until(deadline, poll));
    };
    if let Poll::Ready(output) = park::once(&mut poll) {
        return Ok(Some(output));
    }
    if !stand::may_wait() {
        return Err(Refusal::Exhausted);
    }
    let _note = Note::new(targets()).map_err(Refusal::Deadlock)?;
    let _blocked = Blocked::new(bus).ok_or(Refusal::Exhausted)?;
    Ok(stand::wait(deadline, &mut poll))
}

/// Counts the handlers of a bus that block their threads.
struct Blocked(Bus);

impl Blocked {
    fn new(bus: Bus) -> Option<Self> {
        let count: &AtomicUsize = &bus.0.blocked;
        let blocked = count.fetch_add(1, Ordering::Relaxed) < MOST;
        let this = Self(bus);
        // Dropped, it takes the count back.
        blocked.then_some(this)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.0.0.blocked.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The note that the handler which this thread runs waits; taken back when dropped.
#[derive(Debug)]
pub(crate) struct Note(Option<(Bus, Wait)>);

impl Note {
    /// Notes a wait of the current handler; nothing outside of handlers, and nothing on a bus where
    /// no service has a state to hold.
    pub(crate) fn new(targets: Vec<Target>) -> Result<Self, Cycle> {
        let noted = current::with(|current| {
            let bus = current.bus();
            if !bus.0.has_state && bus.0.testing.is_none() {
                return Ok(None);
            }
            // Nobody handles anything before every `#[init]` is done.
            if let (false, Some(target)) = (bus.0.gate.is_open(), targets.first()) {
                let (me, other) = (&current.service().name, &target.service.name);
                let path = [me, other, "the start of the bus", me];
                return Err(Cycle(path.map(str::to_owned).to_vec()));
            }
            let (me, service, below) = (current.invocation(), current.service(), current.below());
            let wait = bus.0.waits.begin(me, service, below, targets)?;
            if let Some(testing) = &bus.0.testing {
                testing.activity.change();
            }
            Ok(Some((bus.clone(), wait)))
        });
        noted.unwrap_or(Ok(None)).map(Self)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some((bus, wait)) = &self.0 {
            bus.0.waits.end(wait);
        }
    }
}
