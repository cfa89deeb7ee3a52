use bus::prelude::*;

#[event(exchange = "order", key = "order.submit")]
#[event(exchange = "order", key = "order.submit")]
struct Order;

fn main() {}
