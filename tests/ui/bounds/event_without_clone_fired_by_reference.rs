use bus::prelude::*;

#[derive(Event)]
#[event(local, exchange = "order", key = "order.submit")]
struct Order;

fn main() {
    let _ = Order.submit();
}
