use bus::prelude::*;

struct Order;
struct Db;

#[listener("order.*")]
fn billing(order: &Order, db: Db) {
    let _ = (order, db);
}

fn main() {}
