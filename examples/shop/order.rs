//! The events of the shop, and the lines that they are read from.

use std::fmt;
use std::num::NonZeroU32;

use bus::prelude::*;
use serde::Deserialize;

use crate::money::{Currency, Money};

/// An order as the shop took it when it sold in euro only.
#[event(exchange = "order", key = "order.v1.submit")]
pub struct OrderV1 {
    pub id: u64,
    pub account: String,
    pub lines: Vec<LineV1>,
}

/// A line of an order of the first version.
#[payload]
pub struct LineV1 {
    pub product: String,
    pub quantity: NonZeroU32,
    /// The price of one, in euro cents.
    pub cents: u32,
}

/// An order.
#[event(exchange = "order", key = "order.v2.submit", upcasts(OrderV1))]
#[event(exchange = "order", key = "order.v2.chargeback")]
pub struct Order {
    pub id: u64,
    pub account: String,
    pub currency: Currency,
    pub lines: Vec<Line>,
}

/// A line of an order.
#[payload]
pub struct Line {
    pub product: String,
    pub quantity: NonZeroU32,
    /// The price of one, in hundredths of the order's currency.
    pub price: u32,
}

// With this, a listener that takes `Order` hears orders of both versions.
impl From<OrderV1> for Order {
    fn from(old: OrderV1) -> Self {
        let lines = old.lines.into_iter().map(|LineV1 { product, quantity, cents }| Line {
            product,
            quantity,
            price: cents,
        });
        Self { id: old.id, account: old.account, currency: Currency::Eur, lines: lines.collect() }
    }
}

/// What an order would cost, for whoever has not decided yet.
#[command]
fn quote(order: &Order) -> Result<Money, Malformed> {
    order.check()?;
    order.total()
}

impl Order {
    /// What the order costs.
    ///
    /// # Errors
    ///
    /// If that is more than can be counted.
    pub fn total(&self) -> Result<Money, Malformed> {
        let cents = self.lines.iter().try_fold(0_i64, |sum, line| {
            let amount = i64::from(line.quantity.get()).checked_mul(line.price.into())?;
            sum.checked_add(amount)
        });
        let cents = cents.ok_or_else(|| Malformed("the total is too large".to_owned()))?;
        Ok(Money { cents, currency: self.currency })
    }

    /// How many pieces were ordered.
    pub fn pieces(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.quantity.get())).sum()
    }

    fn check(&self) -> Result<(), Malformed> {
        if self.account.trim().is_empty() {
            return Err(Malformed("the account is empty".to_owned()));
        }
        if self.lines.is_empty() {
            return Err(Malformed("the order has no lines".to_owned()));
        }
        self.total().map(drop)
    }
}

/// A line of the input: an event by its routing key.
#[derive(Deserialize)]
#[serde(tag = "event")]
pub enum Entry {
    #[serde(rename = "order.v1.submit")]
    SubmitV1(OrderV1),
    #[serde(rename = "order.v2.submit")]
    Submit(Order),
    #[serde(rename = "order.v2.chargeback")]
    Chargeback(Order),
}

impl Entry {
    /// Reads one line.
    ///
    /// # Errors
    ///
    /// If it is no JSON object of this shape, or no order that could be billed.
    pub fn parse(line: &[u8]) -> Result<Self, Malformed> {
        let entry: Self = serde_json::from_slice(line)?;
        match &entry {
            Self::SubmitV1(order) => Order::from(order.clone()).check()?,
            Self::Submit(order) | Self::Chargeback(order) => order.check()?,
        }
        Ok(entry)
    }

    /// Fires it as the event that it is.
    pub fn fire(self, bus: &Bus) -> Receipt {
        match self {
            Self::SubmitV1(order) => bus.fire(order),
            Self::Submit(order) => bus.fire(order),
            Self::Chargeback(order) => bus.fire_as(Order::CHARGEBACK, order),
        }
    }
}

/// Why a line is no order.
#[derive(Debug)]
pub struct Malformed(String);

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        // It counts the lines of what it was given, which is always one.
        let text = text.rsplit_once(" at line ").map_or(&*text, |(text, _)| text);
        Self(text.to_owned())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}
