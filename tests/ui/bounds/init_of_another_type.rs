use bus::prelude::*;

struct Ledger;

#[service]
impl Ledger {
    #[init]
    fn open() -> Result<u32, String> {
        Ok(1)
    }

    #[command]
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {}
