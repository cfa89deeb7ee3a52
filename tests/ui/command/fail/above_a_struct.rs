use bus::prelude::*;

#[command]
pub struct Order {
    pub id: u32,
}

fn main() {
    let _ = Order { id: 1 }.id;
}
