use bus::prelude::*;

#[derive(Clone)]
struct Line;

#[command]
fn price(count: u32, line: &Line) -> u32 {
    let _ = line;
    count
}

fn main() {
    let _ = price::execute(1, &Line).wait();
}
