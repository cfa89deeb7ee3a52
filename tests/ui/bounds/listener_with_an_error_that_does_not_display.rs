use bus::prelude::*;

struct Problem;

#[listener("order.*")]
fn billing(id: &u32) -> Result<(), Problem> {
    let _ = id;
    Err(Problem)
}

fn main() {}
