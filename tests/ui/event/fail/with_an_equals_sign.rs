use bus::prelude::*;

#[derive(Clone, Event)]
#[event = "order.submit"]
struct Order;

fn main() {}
