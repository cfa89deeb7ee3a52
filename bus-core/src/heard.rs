//! The listeners that a receipt can name without holding anything of its bus.
//!
//! A list is kept for ever, once for all receipts that name the same listeners. There are as many as a
//! program has sets of inline listeners of one event.

use std::sync::{Arc, Mutex, PoisonError};

use crate::router::Route;

/// The names of listeners, sorted.
pub(crate) type Heard = &'static [Arc<str>];

/// Every list there is.
static LISTS: Mutex<Vec<Heard>> = Mutex::new(Vec::new());

/// The names of the listeners of a route.
pub(crate) fn names(route: &Route) -> Heard {
    let mut names: Vec<Arc<str>> = route.bindings().map(|binding| binding.name.clone()).collect();
    names.sort();
    let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lists.iter().find(|list| ***list == names) {
        return known;
    }
    let list = Box::leak(names.into_boxed_slice());
    lists.push(list);
    list
}
