//! Autobus: a listener on its service's thread.

use bus::prelude::*;

use super::{SINK, produce};
use crate::order::{Order, Tally};

#[listener(service = "service")]
fn heard(order: &Order) {
    SINK.add(order);
}

/// Fires from `P` threads, each of which waits for its receipts.
pub(super) fn fire<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let bus = crate::bus_of(&["service"]);
    move |first, n| {
        produce::<P>(first, n, |order| {
            bus.fire(order).wait().expect("accepted");
        })
    }
}
