use bus::prelude::*;

#[derive(Default)]
struct Ledger;

#[service]
impl Ledger {
    #[command(service = "billing")]
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {}
