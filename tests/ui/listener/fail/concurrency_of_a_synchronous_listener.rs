use bus::prelude::*;

#[listener("order.*", concurrency = 8)]
fn billing(id: &u32) {
    let _ = id;
}

fn main() {}
