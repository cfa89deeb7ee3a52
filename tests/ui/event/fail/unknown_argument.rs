use bus::prelude::*;

#[event(exchang = "order", key = "order.submit")]
struct Order;

fn main() {
    let _ = Order.submit();
    let _ = Order::SUBMIT;
}
