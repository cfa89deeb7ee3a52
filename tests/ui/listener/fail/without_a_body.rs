use bus::prelude::*;

#[listener("order.*")]
fn billing(id: &u32);

fn main() {}
