use bus::prelude::*;

#[command(time_out = "5s")]
fn say_hello(name: &str) -> String {
    name.to_owned()
}

fn main() {
    let _ = say_hello::execute("Alice").wait();
}
