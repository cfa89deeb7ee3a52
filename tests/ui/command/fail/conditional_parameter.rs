use bus::prelude::*;

#[command]
fn job(#[cfg(all())] id: u32) {
    let _ = id;
}

fn main() {}
