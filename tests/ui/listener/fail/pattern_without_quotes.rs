use bus::prelude::*;

#[event(exchange = "order", key = "order.v1.submit")]
pub struct Order;

#[listener(order.*.submit)]
fn hear(order: &Order) {
    let _ = order;
}

#[listener(order.#, queue = "billing")]
fn hear_all(ctx: &Context) {
    let _ = ctx;
}

fn main() {}
