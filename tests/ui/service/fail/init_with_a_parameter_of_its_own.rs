use bus::prelude::*;

struct Ledger;

#[service]
impl Ledger {
    #[init]
    fn open(path: &str) -> Self {
        let _ = path;
        Self
    }

    #[command]
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {}
