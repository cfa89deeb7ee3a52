use bus::prelude::*;

use std::cell::Cell;

#[listener("order.*")]
fn billing(count: &Cell<u32>) {
    let _ = count;
}

fn main() {}
