//! `jaeb`: synchronous handlers, which `publish` waits for.

use jaeb::{EventBus, HandlerResult, SyncEventHandler};

use super::SINK;
use crate::order::{Order, Tally};
use crate::runtime::runtime;

struct Listener;

impl SyncEventHandler<Order> for Listener {
    fn handle(&self, order: &Order, _: &EventBus) -> HandlerResult {
        SINK.add(order);
        Ok(())
    }
}

/// Publishes to `N` handlers.
pub(super) fn publish<const N: usize>() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let bus = runtime.block_on(async {
        let bus = EventBus::builder().build().await.expect("a bus");
        for _ in 0..N {
            // Dropped, it stays subscribed.
            let _ = bus.subscribe::<Order, _, _>(Listener).await.expect("a subscription");
        }
        bus
    });
    move |first, n| {
        runtime.block_on(async {
            for id in first..first + n {
                bus.publish(Order::new(id)).await.expect("published");
            }
        });
        SINK.take()
    }
}
