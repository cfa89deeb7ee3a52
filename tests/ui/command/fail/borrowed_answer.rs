use bus::prelude::*;

#[command]
fn trim(text: &str) -> &str {
    text.trim()
}

fn main() {
    let _ = trim::execute(" x ").wait();
}
