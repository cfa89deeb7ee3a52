use bus::prelude::*;

struct Ledger<T>(T);

#[service]
impl<T> Ledger<T> {
    #[command]
    fn balance(&self) -> u32 {
        1
    }
}

fn main() {
    let _ = Ledger(1).balance();
    let _ = balance::execute().wait();
}
