use bus::prelude::*;

#[event(exchange = "order", key = "order.submit")]
struct Order<T>(T);

fn main() {
    let _ = Order(1).0;
}
