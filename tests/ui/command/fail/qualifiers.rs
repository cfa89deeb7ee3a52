use bus::prelude::*;

#[command]
unsafe extern "C" fn job() {}

fn main() {}
