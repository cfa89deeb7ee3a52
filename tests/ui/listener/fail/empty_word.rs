use bus::prelude::*;

#[listener("order..submit")]
fn billing(order: &u32) {
    let _ = order;
}

fn main() {}
