use bus::prelude::*;

#[command(retry = 1, retry = 2)]
fn job() {}

fn main() {}
