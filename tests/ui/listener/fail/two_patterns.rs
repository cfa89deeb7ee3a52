use bus::prelude::*;

#[listener("order.*", "invoice.*")]
fn billing(id: &u32) {
    let _ = id;
}

fn main() {}
