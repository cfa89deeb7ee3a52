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
#[event(exchange = "order", key = "order.v2.charge-back")]
#[event(exchange = "order", key = "order.v2.match", name = fits)]
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
#[event(exchange = "order", key = "order.state.gone", name = "gone")]
#[derive(Debug, PartialEq, Serialize)]
pub enum Progress {
    Open,
    Done { at: u64 },
}

fn main() {
    let order = Order { id: 1, lines: vec![Line { unit_price: 1.0 }] };
    let _ = order.submit();
    let _ = order.charge_back();
    let _ = order.fits();
    assert_eq!(Order::EVENT, Order::SUBMIT);
    assert_eq!(Order::CHARGE_BACK.key(), "order.v2.charge-back");
    let _ = order.fire();
    let _ = Progress::Done { at: 1 }.r#type();
    let _ = Progress::GONE;
}
