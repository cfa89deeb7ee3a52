use bus::prelude::*;

#[payload(local)]
struct Line {
    id: u32,
}

fn main() {
    let line = Line { id: 1 }.clone();
    let _ = line.id;
}
