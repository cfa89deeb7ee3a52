use bus::prelude::*;

#[derive(Clone, Event)]
#[event(exchange = "order", key = "order.submit")]
struct Order;

fn main() {}
