use bus::prelude::*;

struct Ledger;

#[command]
impl Ledger {
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {
    let _ = Ledger.balance();
}
