//! Logistic: ships every order, and takes back what is charged back.

use bus::prelude::*;

use crate::order::Order;

/// What has left the warehouse, and what came back.
#[derive(Default)]
pub struct Warehouse {
    totals: Shipped,
}

/// How much was shipped.
#[payload]
#[derive(Debug, Default)]
pub struct Shipped {
    pub orders: u64,
    pub pieces: u64,
    pub returned: u64,
}

#[service]
impl Warehouse {
    #[listener("order.*.submit")]
    fn ship(&mut self, order: &Order) {
        self.totals.orders += 1;
        self.totals.pieces += order.pieces();
    }

    #[listener(Order::CHARGEBACK)]
    fn take_back(&mut self, order: &Order) {
        self.totals.returned += order.pieces();
    }

    #[command]
    fn shipped(&self) -> Shipped {
        self.totals.clone()
    }
}
