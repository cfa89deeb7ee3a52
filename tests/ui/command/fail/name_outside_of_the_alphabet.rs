use bus::prelude::*;

#[command("say hello")]
fn say_hello() {}

fn main() {}
