use bus::prelude::*;

#[command]
fn char() {}

fn main() {}
