#![deny(unused_must_use)]

use bus::prelude::*;

#[command]
fn double(number: u32) -> u32 {
    2 * number
}

fn main() {
    double::scatter([1, 2]);
}
