use bus::prelude::*;

#[derive(Default)]
struct Ledger;

#[service]
impl Ledger {
    #[command(inline)]
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {}
