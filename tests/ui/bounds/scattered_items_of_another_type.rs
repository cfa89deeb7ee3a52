use bus::prelude::*;

#[command]
fn greet(name: &str, times: u8) -> String {
    name.repeat(times.into())
}

fn main() {
    let _ = greet::scatter(["Alice".to_owned()]);
}
