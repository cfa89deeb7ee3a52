use bus::prelude::*;

#[command]
#[listener("order.paid")]
fn book(id: u32) {
    let _ = id;
}

pub fn main() {
    let _ = book::execute(1);
}
