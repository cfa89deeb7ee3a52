use bus::prelude::*;

#[event(exchange = "order", key = "order.submit", upcasts = OrderV1)]
struct Order;

fn main() {}
