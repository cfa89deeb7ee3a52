use bus::prelude::*;

#[service]
mod ledger {
    pub fn balance() -> u32 {
        1
    }
}

fn main() {
    let _ = ledger::balance();
}
