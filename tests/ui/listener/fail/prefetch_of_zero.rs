use bus::prelude::*;

#[listener("order.*", prefetch = 0)]
fn billing(id: &u32) {
    let _ = id;
}

fn main() {}
