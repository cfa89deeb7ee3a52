//! tokio's channels, and a task that receives.

use ::tokio::sync::{broadcast, mpsc};

use super::{BOUND, SINK, produce_async};
use crate::order::{Order, Tally};
use crate::runtime::runtime;

/// `tokio::sync::mpsc::channel`.
pub(super) fn mpsc<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let (sender, mut receiver) = mpsc::channel::<Order>(BOUND);
    runtime.spawn(async move {
        while let Some(order) = receiver.recv().await {
            SINK.add(&order);
        }
    });
    move |first, n| {
        produce_async::<P, _>(&runtime, first, n, |ids| {
            let sender = sender.clone();
            async move {
                for id in ids {
                    sender.send(Order::new(id)).await.expect("received");
                }
            }
        })
    }
}

/// `tokio::sync::broadcast`, whose senders look at its length, since a slow receiver loses messages.
pub(super) fn broadcast<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let (sender, mut receiver) = broadcast::channel::<Order>(2 * BOUND);
    runtime.spawn(async move {
        while let Ok(order) = receiver.recv().await {
            SINK.add(&order);
        }
    });
    move |first, n| {
        produce_async::<P, _>(&runtime, first, n, |ids| {
            let sender = sender.clone();
            async move {
                for id in ids {
                    while sender.len() >= BOUND {
                        ::tokio::task::yield_now().await;
                    }
                    assert!(sender.send(Order::new(id)).is_ok(), "received");
                }
            }
        })
    }
}
