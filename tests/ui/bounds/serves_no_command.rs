use bus::prelude::*;

mod contracts {
    pub fn price() -> u32 {
        1
    }
}

#[command(serves = contracts::price)]
fn price() -> u32 {
    contracts::price()
}

fn main() {}
