use bus::prelude::*;

#[event(exchange = "order", key = "order.*.submit")]
struct Order {
    id: u64,
}

#[listener(Order::SUBMIT)]
fn bill(order: &Order) {
    println!("{}", order.id);
}

fn main() {
    Order { id: 1 }.submit();
}
