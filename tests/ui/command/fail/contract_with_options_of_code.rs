use bus::prelude::*;

#[command(retry = 3, inline)]
fn total(account: &str) -> u64;

fn main() {
    let _ = total::execute("alice").wait();
}
