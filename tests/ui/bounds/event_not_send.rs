use bus::prelude::*;

use std::rc::Rc;

#[derive(Event)]
#[event(local, exchange = "order", key = "order.submit")]
struct Order(Rc<u32>);

fn main() {
    let _ = Order(Rc::new(1)).0;
}
