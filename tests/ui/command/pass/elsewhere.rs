mod my {
    pub use bus::*;
}

#[my::command(crate = my)]
fn price(name: &str) -> u32 {
    name.len() as u32
}

#[my::event(exchange = "order", key = "order.submit", crate = crate::command::elsewhere::my)]
struct Order;

#[my::listener(crate = my)]
fn billing(order: &Order) {
    let _ = order;
}

pub fn main() {
    let _ = price::execute("a");
    let _ = Order.submit();
}
