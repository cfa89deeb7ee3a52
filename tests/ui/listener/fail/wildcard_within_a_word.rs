use bus::prelude::*;

#[listener("order.sub*")]
fn billing(order: &u32) {
    let _ = order;
}

fn main() {}
