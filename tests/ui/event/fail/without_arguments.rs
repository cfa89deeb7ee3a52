use bus::prelude::*;

#[event]
struct Order;

fn main() {
    let _ = Order.fire();
}
