use bus::prelude::*;

struct Ledger;

impl Ledger {
    #[command]
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {
    let _ = Ledger.balance();
}
