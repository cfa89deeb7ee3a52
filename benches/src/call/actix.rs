//! `actix`: an actor on an arbiter's thread, sent to.

use actix::{Actor, Addr, Context, Handler, Message};

use super::{answers_async, flights_async, price};
use crate::order::{Order, Tally};
use crate::runtime::runtime;
use crate::service::start_actix;

struct Server;

impl Actor for Server {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(super::BOUND);
    }
}

struct Priced(Order);

impl Message for Priced {
    type Result = u64;
}

impl Handler<Priced> for Server {
    type Result = u64;

    fn handle(&mut self, priced: Priced, _: &mut Self::Context) -> u64 {
        price(priced.0)
    }
}

async fn call(server: Addr<Server>, order: Order) -> u64 {
    server.send(Priced(order)).await.expect("an answer")
}

/// One by one.
pub(super) fn sequential() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let server = start_actix(|| Server);
    move |first, n| runtime.block_on(answers_async(first, n, |order| call(server.clone(), order)))
}

/// Many, then each answer. The request is sent when its future is made, if there is room.
pub(super) fn in_flight() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let server = start_actix(|| Server);
    move |first, n| {
        runtime.block_on(flights_async(first, n, |order| {
            let answer = server.send(Priced(order));
            std::future::ready(async { answer.await.expect("an answer") })
        }))
    }
}
