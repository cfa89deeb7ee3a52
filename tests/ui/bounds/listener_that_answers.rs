use bus::prelude::*;

#[listener("order.*")]
fn billing(id: &u32) -> u32 {
    *id
}

fn main() {}
