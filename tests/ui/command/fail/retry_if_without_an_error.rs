use bus::prelude::*;

#[command(retry_if = always)]
fn job() -> u32 {
    1
}

fn always(_: &u32) -> bool {
    true
}

fn main() {}
