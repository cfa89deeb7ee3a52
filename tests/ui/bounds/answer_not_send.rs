use bus::prelude::*;

use std::rc::Rc;

#[command(local)]
fn price() -> Rc<u32> {
    Rc::new(1)
}

fn main() {}
