use bus::prelude::*;

#[event(exchange = "order", key = "order.submit", upcasts(Order))]
struct Order;

fn main() {}
