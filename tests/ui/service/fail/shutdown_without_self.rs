use bus::prelude::*;

#[derive(Default)]
struct Ledger;

#[service]
impl Ledger {
    #[command]
    fn balance(&self) -> u32 {
        1
    }

    #[shutdown]
    fn close() {}
}

fn main() {}
