use bus::prelude::*;

#[derive(Event)]
#[bus::event(exchange = "order", key = "order.submit")]
struct Order;

fn main() {}
