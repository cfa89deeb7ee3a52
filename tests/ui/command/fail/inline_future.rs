use bus::prelude::*;

#[command(inline)]
async fn job() {}

fn main() {}
