//! Billing: writes an invoice for every order, and takes back what is charged back.
//!
//! Its listeners keep no state. The ledger does, as a service of its own below this one:
//! `billing.ledger`. They reach it through commands, which do not change when it moves to another
//! process. Several processes may run it, if their books are in one place.

use std::collections::BTreeSet;
use std::error::Error;

use bus::prelude::*;

use crate::ledger::{LedgerError, LedgerStore};
use crate::money::Money;
use crate::order::Order;

/// Hears every version, each as an `Order`. A ledger that is out of reach has three minutes to come
/// back.
#[listener(
    "order.*.submit",
    queue = "billing_order",
    concurrency = 8,
    retry = 5,
    backoff = ["5s", "10s", "15s", "30s", "2m"]
)]
async fn invoice(order: Order, ctx: &Context) -> Result<(), Box<dyn Error>> {
    let booking = Booking::Invoice(order.total()?);
    book::execute(&ctx.idempotency_key(), &order.account, booking).await?;
    Ok(())
}

#[listener(Order::CHARGEBACK)]
async fn charge_back(order: &Order, ctx: &Context) -> Result<(), Box<dyn Error>> {
    let booking = Booking::Chargeback(order.total()?);
    book::execute(&ctx.idempotency_key(), &order.account, booking).await?;
    Ok(())
}

/// The accounts of the customers, and what each has been billed.
pub struct Ledger {
    store: State<LedgerStore>,
}

/// What is booked on an account.
#[payload]
#[derive(Copy)]
pub enum Booking {
    Invoice(Money),
    Chargeback(Money),
}

impl Booking {
    pub fn money(self) -> Money {
        let (Self::Invoice(money) | Self::Chargeback(money)) = self;
        money
    }
}

/// How much the ledger has booked.
#[payload]
#[derive(Default)]
pub struct Booked {
    pub invoices: u64,
    pub chargebacks: u64,
}

#[service]
impl Ledger {
    #[init]
    fn open(store: State<LedgerStore>) -> Self {
        Self { store }
    }

    /// Books an amount on an account, once for each reference: a delivery that comes again, because
    /// its acknowledgement was lost, is not billed again.
    #[command]
    fn book(&self, reference: &str, account: &str, booking: Booking) -> Result<(), LedgerError> {
        self.store.book(reference, account, booking)
    }

    /// What an account has been billed, in each currency that it was billed in.
    #[command]
    fn balance(&self, account: &str) -> Result<Vec<Money>, LedgerError> {
        self.store.balance(account)
    }

    /// Every account by name.
    #[command]
    fn accounts(&self) -> Result<BTreeSet<String>, LedgerError> {
        self.store.accounts()
    }

    #[command]
    fn booked(&self) -> Result<Booked, LedgerError> {
        self.store.booked()
    }
}
