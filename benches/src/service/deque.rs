//! The least that a queue of several producers can be: a deque under a lock, drained whole.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::{BOUND, SINK, produce};
use crate::order::{Order, Tally};

#[derive(Default)]
struct Queue {
    orders: Mutex<VecDeque<Order>>,
    filled: Condvar,
    drained: Condvar,
}

impl Queue {
    fn push(&self, order: Order) {
        let mut orders = self.orders.lock().expect("no panic");
        while orders.len() >= BOUND {
            orders = self.drained.wait(orders).expect("no panic");
        }
        orders.push_back(order);
        let first = orders.len() == 1;
        drop(orders);
        if first {
            self.filled.notify_one();
        }
    }

    fn drain(&self, into: &mut VecDeque<Order>) {
        let mut orders = self.orders.lock().expect("no panic");
        while orders.is_empty() {
            orders = self.filled.wait(orders).expect("no panic");
        }
        std::mem::swap(&mut *orders, into);
        drop(orders);
        self.drained.notify_all();
    }
}

/// `P` threads push, one drains.
pub(super) fn drained<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let queue = Arc::new(Queue::default());
    let consumer = queue.clone();
    thread::spawn(move || {
        let mut orders = VecDeque::new();
        loop {
            consumer.drain(&mut orders);
            orders.drain(..).for_each(|order| SINK.add(&order));
        }
    });
    move |first, n| produce::<P>(first, n, |order| queue.push(order))
}
