use bus::prelude::*;

#[derive(Event)]
struct Order;

fn main() {
    let _ = Order::EVENT;
}
