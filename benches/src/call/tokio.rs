//! tokio's channel there, its oneshot back.

use ::tokio::sync::{mpsc, oneshot};

use super::{BOUND, answers_async, flights_async, price};
use crate::order::{Order, Tally};
use crate::runtime::runtime;

type Request = (Order, oneshot::Sender<u64>);

async fn serve(mut requests: mpsc::Receiver<Request>) {
    while let Some((order, reply)) = requests.recv().await {
        let _ = reply.send(price(order));
    }
}

async fn send(server: mpsc::Sender<Request>, order: Order) -> impl Future<Output = u64> {
    let (reply, answer) = oneshot::channel();
    server.send((order, reply)).await.expect("served");
    async { answer.await.expect("an answer") }
}

async fn call(server: mpsc::Sender<Request>, order: Order) -> u64 {
    send(server, order).await.await
}

/// One by one, from outside of the runtime.
pub(super) fn sequential() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let (server, requests) = mpsc::channel(BOUND);
    runtime.spawn(serve(requests));
    move |first, n| runtime.block_on(answers_async(first, n, |order| call(server.clone(), order)))
}

/// Many, then each answer.
pub(super) fn in_flight() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let (server, requests) = mpsc::channel(BOUND);
    runtime.spawn(serve(requests));
    move |first, n| runtime.block_on(flights_async(first, n, |order| send(server.clone(), order)))
}

/// Task to task.
pub(super) fn awaited() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let (server, requests) = mpsc::channel(BOUND);
    runtime.spawn(serve(requests));
    move |first, n| {
        let server = server.clone();
        let task = runtime.spawn(async move {
            answers_async(first, n, |order| call(server.clone(), order)).await
        });
        runtime.block_on(task).expect("a task that ends")
    }
}

/// Task to thread, where a handler may block.
pub(super) fn across() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let (server, mut requests) = mpsc::channel::<Request>(BOUND);
    std::thread::spawn(move || {
        while let Some((order, reply)) = requests.blocking_recv() {
            let _ = reply.send(price(order));
        }
    });
    move |first, n| {
        let server = server.clone();
        let task = runtime.spawn(async move {
            answers_async(first, n, |order| call(server.clone(), order)).await
        });
        runtime.block_on(task).expect("a task that ends")
    }
}
