//! The routes that a thread has found before, by the static descriptors of their events.
//!
//! Handles are weak, so that a thread that fires no more keeps nothing alive. Whatever changes a table
//! gives it another generation, and then nothing that was kept of it counts.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use crate::event::EventDescriptor;
use crate::router::Route;

/// How many routes a thread keeps. A power of two.
const KEPT: usize = 64;

thread_local! {
    static ROUTES: RefCell<Kept> = const { RefCell::new(Kept { of: (0, 0), places: Vec::new() }) };
}

struct Kept {
    /// The bus, by its prefix, and the generation of its table.
    of: (u64, u64),
    places: Vec<Option<Place>>,
}

struct Place {
    descriptor: usize,
    route: Weak<Route>,
}

/// The route of an event on the bus and at the generation that `of` tells, as `find` finds it if this
/// thread has not found it before. The table is held meanwhile.
pub(crate) fn of(
    of: (u64, u64),
    descriptor: &'static EventDescriptor,
    find: impl FnOnce() -> Option<Arc<Route>>,
) -> Option<Arc<Route>> {
    let address = std::ptr::from_ref(descriptor).addr();
    // Descriptors are statics of more than a hundred bytes.
    let index = (address / 64) % KEPT;
    ROUTES.with_borrow_mut(|kept| {
        if kept.of != of {
            kept.of = of;
            kept.places.clear();
            kept.places.resize_with(KEPT, || None);
        }
        let place = kept.places.get_mut(index)?;
        if let Some(Place { descriptor, route }) = place
            && *descriptor == address
            && let Some(route) = route.upgrade()
        {
            return Some(route);
        }
        let route = find()?;
        *place = Some(Place { descriptor: address, route: Arc::downgrade(&route) });
        Some(route)
    })
}
