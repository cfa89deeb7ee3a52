//! `jaeb`: an asynchronous handler, for which each event is a task of its own, one at a time.

use std::sync::Mutex;

use jaeb::{EventBus, EventHandler, HandlerResult};

use super::{SINK, produce_async};
use crate::order::{Order, Tally};
use crate::runtime::runtime;

struct Listener;

/// Its tasks may run on several threads, and the sink is for one.
static ALONE: Mutex<()> = Mutex::new(());

impl EventHandler<Order> for Listener {
    async fn handle(&self, order: &Order, _: &EventBus) -> HandlerResult {
        let _alone = ALONE.lock().expect("no panic");
        SINK.add(order);
        Ok(())
    }
}

/// `publish`.
pub(super) fn publish<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let bus = runtime.block_on(async {
        let bus = EventBus::builder().max_concurrent_async(1).build().await.expect("a bus");
        // Dropped, it stays subscribed.
        let _ = bus.subscribe::<Order, _, _>(Listener).await.expect("a subscription");
        bus
    });
    move |first, n| {
        produce_async::<P, _>(&runtime, first, n, |ids| {
            let bus = bus.clone();
            async move {
                for id in ids {
                    bus.publish(Order::new(id)).await.expect("published");
                }
            }
        })
    }
}
