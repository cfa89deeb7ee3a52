//! `event-bus`: the handlers of a named bus.

use event_bus::{Event, EventBus, dispatch_event, subscribe_event};

use super::SINK;
use crate::order::{Order, Tally};

impl Event for Order {}

/// Dispatches to `N` handlers.
pub(super) fn dispatch<const N: usize>() -> impl FnMut(u64, u64) -> Tally {
    let name = format!("bench {N}");
    let bus = EventBus::new(name.as_str());
    for _ in 0..N {
        subscribe_event(&name, |order: &mut Order| SINK.add(order), 0);
    }
    move |first, n| {
        // It is gone with its owner.
        let _ = &bus;
        for id in first..first + n {
            dispatch_event(&name, &mut Order::new(id));
        }
        SINK.take()
    }
}
