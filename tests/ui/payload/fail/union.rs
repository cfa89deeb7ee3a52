use bus::prelude::*;

#[payload]
union Line {
    id: u32,
}

fn main() {}
