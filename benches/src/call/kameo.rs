//! `kameo`: an actor with a bounded mailbox, asked.

use kameo::actor::{ActorRef, Spawn as _};
use kameo::error::Infallible;
use kameo::message::{Context, Message};
use kameo::{Actor, mailbox};
use tokio::runtime::Runtime;

use super::{BOUND, answers_async, flights_async, price};
use crate::order::{Order, Tally};
use crate::runtime::runtime;

struct Server;

impl Actor for Server {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(server: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(server)
    }
}

impl Message<Order> for Server {
    type Reply = u64;

    async fn handle(&mut self, order: Order, _: &mut Context<Self, u64>) -> u64 {
        price(order)
    }
}

fn start(runtime: &Runtime) -> ActorRef<Server> {
    let _inside = runtime.enter();
    Server::spawn_with_mailbox(Server, mailbox::bounded(BOUND))
}

async fn call(server: ActorRef<Server>, order: Order) -> u64 {
    server.ask(order).await.expect("an answer")
}

async fn taken<E: std::fmt::Debug>(answer: impl Future<Output = Result<u64, E>>) -> u64 {
    answer.await.expect("an answer")
}

/// One by one, from outside of the runtime.
pub(super) fn sequential() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let server = start(&runtime);
    move |first, n| runtime.block_on(answers_async(first, n, |order| call(server.clone(), order)))
}

/// Many, then each answer.
#[allow(clippy::async_yields_async, reason = "what it yields is the answer, awaited later")]
pub(super) fn in_flight() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let server = start(&runtime);
    move |first, n| {
        runtime.block_on(flights_async(first, n, |order| {
            let server = server.clone();
            async move { taken(server.ask(order).enqueue().await.expect("served")) }
        }))
    }
}

/// Task to actor.
pub(super) fn awaited() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let server = start(&runtime);
    ask(runtime, server)
}

/// Task to an actor with a thread of its own, where a handler may block.
pub(super) fn across() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let server = {
        let _inside = runtime.enter();
        Server::spawn_in_thread_with_mailbox(Server, mailbox::bounded(BOUND))
    };
    ask(runtime, server)
}

fn ask(runtime: Runtime, server: ActorRef<Server>) -> impl FnMut(u64, u64) -> Tally {
    move |first, n| {
        let server = server.clone();
        let task = runtime.spawn(async move {
            answers_async(first, n, |order| call(server.clone(), order)).await
        });
        runtime.block_on(task).expect("a task that ends")
    }
}
