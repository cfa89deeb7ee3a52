use bus::prelude::*;

#[command]
fn price(ctx: Context) -> u32 {
    let _ = ctx;
    1
}

fn main() {}
