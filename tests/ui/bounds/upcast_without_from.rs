use bus::prelude::*;

#[event(exchange = "order", key = "order.v1.submit")]
struct OrderV1;

#[event(exchange = "order", key = "order.v2.submit", upcasts(OrderV1))]
struct Order;

fn main() {}
