use bus::prelude::*;

#[command(retry = 0, backoff = "1s")]
fn job() {}

fn main() {}
