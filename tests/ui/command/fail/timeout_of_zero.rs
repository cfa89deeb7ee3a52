use bus::prelude::*;

#[command(timeout = "0s")]
fn job() {}

fn main() {}
