use bus::prelude::*;

#[listener("order.*")]
fn audit(ctx: &Context, text: &str) {
    let _ = (ctx, text);
}

fn main() {}
