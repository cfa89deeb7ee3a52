use bus::prelude::*;

#[listener]
fn billing(id: &u32) {
    let _ = id;
}

fn main() {}
