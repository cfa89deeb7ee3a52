use bus::prelude::*;

#[derive(Default)]
struct Ledger;

#[service]
impl Ledger {
    #[listener("order.*", concurrency = 8)]
    async fn book(&mut self, id: &u32) {
        let _ = id;
    }
}

fn main() {}
