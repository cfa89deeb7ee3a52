use bus::prelude::*;

use serde::{Deserialize, Serialize};

mod v1 {
    #[bus::event(exchange = "order", key = "order.v1.submit")]
    #[derive(Debug)]
    pub struct Order {
        pub id: u64,
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(exchange = "order", key = "order.v2.submit", upcasts(v1::Order))]
#[event(key = "order.v2.charge-back")]
#[event(exchange = "audit", key = "order.v2.match", name = fits)]
pub struct Order {
    pub id: u64,
    pub lines: Vec<Line>,
}

impl From<v1::Order> for Order {
    fn from(old: v1::Order) -> Self {
        Self { id: old.id, lines: Vec::new() }
    }
}

#[payload]
#[derive(Debug)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub unit_price: f64,
}

#[event(exchange = "order", key = "order.state.type")]
#[event(key = "order.state.gone", name = "gone")]
#[derive(Debug, PartialEq, Serialize)]
pub enum Progress {
    Open,
    Done { at: u64 },
}

pub fn main() {
    let order = Order { id: 1, lines: vec![Line { unit_price: 1.0 }] };
    let _ = order.submit();
    let _ = order.charge_back();
    let _ = order.fits();
    assert_eq!(Order::EVENT, Order::SUBMIT);
    assert_eq!(Order::CHARGE_BACK.key(), "order.v2.charge-back");
    assert_eq!(Order::CHARGE_BACK.exchange(), "order");
    assert_eq!(Order::FITS.exchange(), "audit");
    assert_eq!(Progress::GONE.exchange(), "order");
    let _ = order.fire();
    let _ = Progress::Done { at: 1 }.r#type();
}
