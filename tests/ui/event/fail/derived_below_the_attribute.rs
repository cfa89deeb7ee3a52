use bus::prelude::*;

#[bus::event(exchange = "order", key = "order.submit")]
#[derive(Debug, Event)]
struct Order;

fn main() {
    let _ = format!("{:?}", Order);
}
