use bus::prelude::*;

#[event(exchange = "sensor", key = "sensor.1")]
struct Reading;

fn main() {}
