use bus::prelude::*;

use std::rc::Rc;

#[command]
fn price() -> Result<u32, Rc<u32>> {
    Ok(1)
}

fn main() {}
