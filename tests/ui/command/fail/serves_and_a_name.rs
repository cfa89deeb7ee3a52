use bus::prelude::*;

#[command]
fn contract();

#[command("another", serves = contract)]
fn job() {}

fn main() {}
