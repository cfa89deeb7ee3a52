use bus::prelude::*;

struct Ledger;

#[service]
impl Ledger {
    #[init]
    fn open() {}

    #[command]
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {}
