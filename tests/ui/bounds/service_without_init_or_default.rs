use bus::prelude::*;

struct Ledger;

#[service]
impl Ledger {
    #[command]
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {}
