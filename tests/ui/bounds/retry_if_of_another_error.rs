use bus::prelude::*;

#[listener("order.*", retry_if = worth_it)]
fn billing(id: &u32) -> Result<(), String> {
    Err(id.to_string())
}

fn worth_it(_: &u32) -> bool {
    true
}

fn main() {}
