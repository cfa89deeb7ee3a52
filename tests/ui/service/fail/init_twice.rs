use bus::prelude::*;

struct Ledger;

#[service]
impl Ledger {
    #[init]
    fn open() -> Self {
        Self
    }

    #[init]
    fn reopen() -> Self {
        Self
    }

    #[command]
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {}
