//! `mod-events`: `emit`, whose listeners' outcomes nobody asks for.

use mod_events::{Event, EventDispatcher};

use super::SINK;
use crate::order::{Order, Tally};

impl Event for Order {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// Emits to `N` listeners.
pub(super) fn emit<const N: usize>() -> impl FnMut(u64, u64) -> Tally {
    let dispatcher = EventDispatcher::new();
    for _ in 0..N {
        dispatcher.on(|order: &Order| SINK.add(order));
    }
    move |first, n| {
        for id in first..first + n {
            dispatcher.emit(Order::new(id));
        }
        SINK.take()
    }
}
