use bus::prelude::*;

#[listener("order.*", queue = "billing", broadcast)]
fn billing(id: &u32) {
    let _ = id;
}

fn main() {}
