use bus::prelude::*;

#[derive(Default)]
struct Ledger;

trait Balance {
    fn balance(&self) -> u32;
}

#[service]
impl Balance for Ledger {
    #[command]
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {
    let _ = Ledger.balance();
}
