use bus::prelude::*;

#[command]
fn job() -> Result<u32, Box<dyn std::error::Error>> {
    Ok(1)
}

fn main() {}
