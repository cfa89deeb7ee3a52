use bus::prelude::*;

use std::rc::Rc;

#[command(local)]
fn price(line: Rc<u32>) -> u32 {
    *line
}

fn main() {}
