use bus::prelude::*;

mod contracts {
    #[bus::command]
    pub fn price() -> u32 {
        1
    }
}

#[command(serves = contracts::price)]
fn price() -> u32 {
    1
}

fn main() {}
