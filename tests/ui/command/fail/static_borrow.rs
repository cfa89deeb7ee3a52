use bus::prelude::*;

#[command]
fn greet(name: &'static str) {
    let _ = name;
}

fn main() {}
