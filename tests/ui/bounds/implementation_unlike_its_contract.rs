use bus::prelude::*;

mod contracts {
    #[bus::command("shop.price")]
    pub fn price(id: u32, name: &str) -> u32;
}

#[command(serves = contracts::price)]
fn price(id: u64, name: &str) -> u32 {
    let _ = (id, name);
    1
}

fn main() {}
