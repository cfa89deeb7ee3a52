use bus::prelude::*;

use std::rc::Rc;

struct Db;

struct Ledger {
    rows: Rc<u32>,
}

#[event(exchange = "order", key = "order.submit")]
struct Order;

#[service]
impl Ledger {
    #[init]
    async fn open(db: State<Db>, ctx: &Context) -> Result<Self, String> {
        let _ = (db, ctx);
        Ok(Self { rows: Rc::new(1) })
    }

    #[command]
    fn balance(&self, account: &str) -> Result<u32, String> {
        let _ = account;
        Ok(*self.rows)
    }

    #[command("ledger.grow", handle = grow_ledger)]
    pub async fn grow(&mut self, by: u32) -> u32 {
        self.rows = Rc::new(*self.rows + by);
        *self.rows
    }

    #[bus::command(local)]
    fn version() -> &'static str {
        "1"
    }

    #[listener]
    async fn any(&self, order: &Order) {
        let _ = order;
    }

    #[listener("order.*", queue = "book")]
    fn book(&mut self, order: &Order, ctx: &Context, db: State<Db>) -> Result<(), String> {
        let _ = (order, ctx, db);
        self.rows = Rc::new(0);
        Ok(())
    }

    #[listener("tick")]
    fn tick(&mut self) {
        self.rows = Rc::new(2);
    }

    #[cfg(any())]
    #[command]
    fn absent(&self, value: Missing) {}

    #[shutdown]
    async fn close(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn helper(&self) -> u32 {
        *self.rows
    }
}

pub fn main() {
    let _ = balance::execute("alice").wait();
    let _ = grow_ledger::execute(1).wait();
    let _ = version::execute().wait();
    let _ = Ledger { rows: Rc::new(1) }.helper();
}
