use bus::prelude::*;

#[command(timeout = 5)]
fn job() {}

fn main() {}
