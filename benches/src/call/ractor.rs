//! `ractor`: an actor, called.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::{answers_async, flights_async, price};
use crate::order::{Order, Tally};
use crate::runtime::{elsewhere, runtime};

struct Server;

struct Priced(Order, RpcReplyPort<u64>);

impl Actor for Server {
    type Msg = Priced;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Priced>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Priced>,
        Priced(order, reply): Priced,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let _ = reply.send(price(order));
        Ok(())
    }
}

fn start(runtime: &Runtime) -> ActorRef<Priced> {
    runtime.block_on(Actor::spawn(None, Server, ())).expect("an actor").0
}

async fn call(server: ActorRef<Priced>, order: Order) -> u64 {
    let answer = server.call(|reply| Priced(order, reply), None).await;
    answer.expect("served").expect("an answer")
}

/// One by one, from outside of the runtime.
pub(super) fn sequential() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let server = start(&runtime);
    move |first, n| runtime.block_on(answers_async(first, n, |order| call(server.clone(), order)))
}

/// Many, then each answer.
pub(super) fn in_flight() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let server = start(&runtime);
    move |first, n| {
        runtime.block_on(flights_async(first, n, |order| {
            let (reply, answer) = oneshot::channel();
            server.cast(Priced(order, reply.into())).expect("served");
            std::future::ready(async { answer.await.expect("an answer") })
        }))
    }
}

/// Task to actor.
pub(super) fn awaited() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let server = start(&runtime);
    ask(runtime, None, server)
}

/// Task to an actor on the thread of another runtime, where a handler may block.
pub(super) fn across() -> impl FnMut(u64, u64) -> Tally {
    let elsewhere = elsewhere();
    let server = start(&elsewhere);
    ask(runtime(), Some(elsewhere), server)
}

fn ask(
    runtime: Runtime,
    elsewhere: Option<Runtime>,
    server: ActorRef<Priced>,
) -> impl FnMut(u64, u64) -> Tally {
    move |first, n| {
        let _kept = &elsewhere;
        let server = server.clone();
        let task = runtime.spawn(async move {
            answers_async(first, n, |order| call(server.clone(), order)).await
        });
        runtime.block_on(task).expect("a task that ends")
    }
}
