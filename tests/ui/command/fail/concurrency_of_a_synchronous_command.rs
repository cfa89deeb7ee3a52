use bus::prelude::*;

#[command(concurrency = 8)]
fn job() {}

fn main() {}
