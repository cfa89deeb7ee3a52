use bus::prelude::*;

#[listener("order.*", que = "billing")]
fn billing(order: &u32) {
    let _ = order;
}

fn main() {}
