use bus::prelude::*;

#[listener("order.*")]
fn audit() {}

fn main() {}
