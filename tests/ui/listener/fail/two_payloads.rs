use bus::prelude::*;

#[listener("order.*")]
fn audit(id: &u32, text: &str) {
    let _ = (id, text);
}

fn main() {}
