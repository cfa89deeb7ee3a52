//! `ractor`: an actor, cast to; its mailbox has no bound.

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{SINK, produce_async};
use crate::order::{Order, Tally};
use crate::runtime::runtime;

struct Listener;

struct Submitted(Order);

impl Actor for Listener {
    type Msg = Submitted;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Submitted>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Submitted>,
        submitted: Submitted,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        SINK.add(&submitted.0);
        Ok(())
    }
}

/// `cast`.
pub(super) fn cast<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let (actor, _) = runtime.block_on(Actor::spawn(None, Listener, ())).expect("an actor");
    move |first, n| {
        produce_async::<P, _>(&runtime, first, n, |ids| {
            let actor = actor.clone();
            async move {
                for id in ids {
                    actor.cast(Submitted(Order::new(id))).expect("received");
                }
            }
        })
    }
}
