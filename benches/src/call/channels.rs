//! A bounded channel there, a oneshot back, and a thread that answers.

use crossbeam_channel::{Sender, bounded};

use super::{BOUND, answers, flights, price};
use crate::order::{Order, Tally};

type Request = (Order, oneshot::Sender<u64>);

fn server() -> Sender<Request> {
    let (sender, receiver) = bounded::<Request>(BOUND);
    std::thread::spawn(move || {
        for (order, reply) in receiver {
            let _ = reply.send(price(order));
        }
    });
    sender
}

fn call(server: &Sender<Request>, order: Order) -> oneshot::Receiver<u64> {
    let (reply, answer) = oneshot::channel();
    server.send((order, reply)).expect("served");
    answer
}

/// One by one.
pub(super) fn sequential() -> impl FnMut(u64, u64) -> Tally {
    let server = server();
    move |first, n| answers(first, n, |order| call(&server, order).recv().expect("an answer"))
}

/// Many, then each answer.
pub(super) fn in_flight() -> impl FnMut(u64, u64) -> Tally {
    let server = server();
    move |first, n| {
        flights(first, n, |order| call(&server, order), |answer| answer.recv().expect("an answer"))
    }
}
