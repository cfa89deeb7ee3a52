use bus::prelude::*;

#[command]
fn show<T: ToString>(value: T) -> String {
    value.to_string()
}

fn main() {
    let _ = show::execute(1).wait();
}
