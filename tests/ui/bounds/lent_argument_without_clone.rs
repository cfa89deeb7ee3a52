use bus::prelude::*;

#[bus::payload]
struct Line;

struct Cart(Line);

#[command(local)]
fn price(cart: &Cart) -> u32 {
    let _ = &cart.0;
    1
}

fn main() {}
