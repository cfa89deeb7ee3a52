//! Billing: writes an invoice for every order, and takes back what is charged back.
//!
//! Its listeners keep no state. The ledger does, as a service of its own below this one:
//! `billing.ledger`. They reach it through commands, which will not change when it moves to another
//! process.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::error::Error;
use std::fmt;

use bus::prelude::*;

use crate::money::{Currency, Money};
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
#[derive(Default)]
pub struct Ledger {
    balances: BTreeMap<(String, Currency), i64>,
    references: HashSet<String>,
    invoices: u64,
    chargebacks: u64,
}

/// What is booked on an account.
#[payload]
pub enum Booking {
    Invoice(Money),
    Chargeback(Money),
}

/// How much the ledger has booked.
#[payload]
pub struct Booked {
    pub invoices: u64,
    pub chargebacks: u64,
}

#[service]
impl Ledger {
    /// Books an amount on an account, once for each reference: a delivery that comes again, because
    /// its acknowledgement was lost, is not billed again.
    #[command]
    fn book(&mut self, reference: &str, account: &str, booking: Booking) -> Result<(), Overflow> {
        if self.references.contains(reference) {
            return Ok(());
        }
        let (Booking::Invoice(money) | Booking::Chargeback(money)) = booking;
        let balance = self.balances.entry((account.to_owned(), money.currency)).or_default();
        let (sum, count) = match booking {
            Booking::Invoice(_) => (balance.checked_add(money.cents), &mut self.invoices),
            Booking::Chargeback(_) => (balance.checked_sub(money.cents), &mut self.chargebacks),
        };
        *balance = sum.ok_or_else(|| Overflow(account.to_owned()))?;
        *count += 1;
        self.references.insert(reference.to_owned());
        Ok(())
    }

    /// What an account has been billed, in each currency that it was billed in.
    #[command]
    fn balance(&self, account: &str) -> Vec<Money> {
        let currencies = Currency::ALL.into_iter();
        let balances = currencies.filter_map(|currency| {
            let cents = *self.balances.get(&(account.to_owned(), currency))?;
            Some(Money { cents, currency })
        });
        balances.collect()
    }

    /// Every account by name.
    #[command]
    fn accounts(&self) -> BTreeSet<String> {
        self.balances.keys().map(|(account, _)| account.clone()).collect()
    }

    #[command]
    fn booked(&self) -> Booked {
        Booked { invoices: self.invoices, chargebacks: self.chargebacks }
    }
}

/// An account has more than can be counted.
#[derive(Debug)]
pub struct Overflow(String);

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the account `{}` has more than can be counted", self.0)
    }
}

impl Error for Overflow {}
