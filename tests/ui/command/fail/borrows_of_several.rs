use bus::prelude::*;

#[command]
fn longest(left: Option<&str>, right: &mut u32) -> &str {
    *right += 1;
    left.unwrap()
}

fn main() {}
