use bus::prelude::*;

#[event(exchange = "order", key = "order.*.submit")]
struct Order;

// Only the key is wrong: what is named after it is there.
fn submit() {
    let _ = Order::SUBMIT;
    drop(Order.submit());
}

fn main() {
    submit();
}
