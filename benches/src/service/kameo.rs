//! `kameo`: an actor with a bounded mailbox, told.

use kameo::actor::{ActorRef, Spawn as _};
use kameo::error::Infallible;
use kameo::message::{Context, Message};
use kameo::{Actor, mailbox};

use super::{BOUND, SINK, produce_async};
use crate::order::{Order, Tally};
use crate::runtime::runtime;

struct Listener;

impl Actor for Listener {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(listener: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(listener)
    }
}

impl Message<Order> for Listener {
    type Reply = ();

    async fn handle(&mut self, order: Order, _: &mut Context<Self, ()>) {
        SINK.add(&order);
    }
}

/// `tell`.
pub(super) fn tell<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let actor = {
        let _inside = runtime.enter();
        Listener::spawn_with_mailbox(Listener, mailbox::bounded(BOUND))
    };
    move |first, n| {
        produce_async::<P, _>(&runtime, first, n, |ids| {
            let actor = actor.clone();
            async move {
                for id in ids {
                    actor.tell(Order::new(id)).await.expect("received");
                }
            }
        })
    }
}
