use bus::prelude::*;

#[event(exchange = "order", key = "order.v1.submit")]
#[event(exchange = "order", key = "order.v2.submit")]
struct Order;

fn main() {
    let _ = Order.submit();
}
