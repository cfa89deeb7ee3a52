use bus::prelude::*;

#[derive(Default)]
struct Ledger;

#[service]
impl Ledger {
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {}
