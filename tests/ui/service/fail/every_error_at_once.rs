use bus::prelude::*;

struct Ledger;

#[service("the ledger")]
impl Ledger {
    #[command(inlin)]
    fn balance(&self) -> u32 {
        1
    }

    #[listener("order..submit")]
    fn book(&mut self, id: &u32) {
        let _ = id;
    }
}

fn main() {
    let _ = balance::execute().wait();
}
