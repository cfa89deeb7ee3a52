use bus::prelude::*;

#[command]
fn price(id: u32) -> u32 {
    id
}

fn main() {
    let _ = price::execute("one").wait();
}
