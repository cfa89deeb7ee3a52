use bus::prelude::*;

#[event(exchange = "gun", key = "gun.fire")]
struct Gun;

fn main() {}
