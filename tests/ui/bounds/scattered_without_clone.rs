use bus::prelude::*;

#[bus::payload]
struct Line;

struct Cart(Line);

// It compiles as long as nobody scatters it.
#[command(local)]
fn price(cart: Cart) -> u32 {
    let Cart(_) = cart;
    1
}

fn main() {
    let _ = price::scatter([Cart(Line)]);
}
