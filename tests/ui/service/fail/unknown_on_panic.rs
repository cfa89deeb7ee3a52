use bus::prelude::*;

#[derive(Default)]
struct Ledger;

#[service(on_panic = abort)]
impl Ledger {
    #[command]
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {}
