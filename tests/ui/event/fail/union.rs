use bus::prelude::*;

#[event(exchange = "order", key = "order.submit")]
union Order {
    id: u32,
}

fn main() {
    let _ = Order { id: 1 };
}
