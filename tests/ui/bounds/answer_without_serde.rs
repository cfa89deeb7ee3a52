use bus::prelude::*;

struct Price;

#[command]
fn price() -> Option<Price> {
    None
}

fn main() {}
