use bus::prelude::*;

#[derive(Default)]
struct Ledger;

#[service]
impl Ledger {
    #[command]
    #[listener("order.*")]
    fn book(&self, id: u32) {
        let _ = id;
    }
}

fn main() {}
