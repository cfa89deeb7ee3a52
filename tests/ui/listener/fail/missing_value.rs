use bus::prelude::*;

#[listener("order.*", queue =)]
fn billing(id: &u32) {
    let _ = id;
}

fn main() {}
