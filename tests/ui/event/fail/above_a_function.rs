use bus::prelude::*;

#[event(exchange = "order", key = "order.submit")]
fn order() {}

fn main() {
    order();
}
