use bus::prelude::*;

struct Order;

#[listener("order.*")]
fn billing(order: Order) {
    let _ = order;
}

fn main() {}
