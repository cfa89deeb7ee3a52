use bus::prelude::*;

#[event(key = "order.submit")]
#[event(exchange = "order", key = "order.chargeback")]
struct Order;

#[listener]
fn billing(order: &Order) {
    let _ = order.chargeback();
}

fn main() {}
