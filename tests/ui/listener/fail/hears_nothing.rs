use bus::prelude::*;

#[listener]
fn audit(ctx: &Context) {
    let _ = ctx;
}

fn main() {}
