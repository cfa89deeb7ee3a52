use bus::prelude::*;

#[command]
fn contract();

#[command(unique, serves = contract)]
fn job() {}

fn main() {}
