use bus::prelude::*;

#[command(backoff = ["1s", "soon"])]
fn job() {}

fn main() {}
