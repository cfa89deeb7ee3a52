use bus::prelude::*;

#[listener(order.*.submit, exchange = "order")]
fn audit(_ctx: &Context) {}

fn main() {}
