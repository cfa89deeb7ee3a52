use bus::prelude::*;

use std::sync::Arc;

#[listener("order.*")]
fn billing(id: &Arc<u32>) {
    let _ = id;
}

fn main() {}
