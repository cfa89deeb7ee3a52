//! Autobus: commands.

use bus::prelude::*;

#[cfg(feature = "peers")]
use super::answers_async;
use super::{answers, flights};
use crate::order::{Order, Tally};

#[command(service = "calls")]
fn served(order: Order) -> u64 {
    super::price(order)
}

#[command(inline, service = "calls_inline")]
fn served_inline(order: Order) -> u64 {
    super::price(order)
}

/// `.wait()` one by one.
pub(super) fn sequential() -> impl FnMut(u64, u64) -> Tally {
    let bus = crate::bus_of(&["calls"]);
    move |first, n| {
        answers(first, n, |order| served::on(&bus).execute(order).wait().expect("an answer"))
    }
}

/// Many, then `.wait()` for each.
pub(super) fn in_flight() -> impl FnMut(u64, u64) -> Tally {
    let bus = crate::bus_of(&["calls"]);
    move |first, n| {
        flights(
            first,
            n,
            |order| served::on(&bus).execute(order),
            |promise| promise.wait().expect("an answer"),
        )
    }
}

/// On the thread of the caller.
pub(super) fn inline() -> impl FnMut(u64, u64) -> Tally {
    let bus = crate::bus_of(&["calls_inline"]);
    move |first, n| {
        answers(first, n, |order| served_inline::on(&bus).execute(order).wait().expect("an answer"))
    }
}

/// Awaited by a tokio task.
#[cfg(feature = "peers")]
pub(super) fn awaited() -> impl FnMut(u64, u64) -> Tally {
    let bus = crate::bus_of(&["calls"]);
    let runtime = crate::runtime::runtime();
    move |first, n| {
        let bus = bus.clone();
        let task = runtime.spawn(async move {
            let call = |order| {
                let promise = served::on(&bus).execute(order);
                async { promise.await.expect("an answer") }
            };
            answers_async(first, n, call).await
        });
        runtime.block_on(task).expect("a task that ends")
    }
}
