use bus::prelude::*;

#[event(exchange = "order", key = "order.*")]
struct Order;

fn main() {}
