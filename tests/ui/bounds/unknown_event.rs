use bus::prelude::*;

#[event(exchange = "order", key = "order.submit")]
struct Order;

#[listener(Order::SUBMT)]
fn billing(order: &Order) {
    let _ = order;
}

fn main() {}
