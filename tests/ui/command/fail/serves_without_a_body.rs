use bus::prelude::*;

#[command]
fn contract();

#[command(serves = contract)]
fn job();

fn main() {}
