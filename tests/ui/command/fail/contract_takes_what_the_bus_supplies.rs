use bus::prelude::*;

#[command]
fn total(account: &str, ctx: &Context) -> u64;

fn main() {}
