//! Orders, and what the ledger must say once all are booked.

use std::collections::BTreeMap;

/// Orders as lines for the shop.
pub(crate) struct Orders {
    lines: Vec<String>,
    invoices: u64,
    chargebacks: u64,
    balances: BTreeMap<(String, String), i64>,
}

impl Orders {
    /// So many, of all kinds.
    pub(crate) fn new(count: u64, random: &mut fastrand::Rng) -> Self {
        let (invoices, chargebacks, balances) = (0, 0, BTreeMap::new());
        let mut orders = Self { lines: Vec::new(), invoices, chargebacks, balances };
        for id in 1..=count {
            orders.add(id, random);
        }
        orders
    }

    fn add(&mut self, id: u64, random: &mut fastrand::Rng) {
        let account = format!("account-{}", random.u32(..50));
        let (quantity, cents) = (random.i64(1..=9), random.i64(1..=10_000));
        let total = quantity * cents;
        let (line, currency, sum) = match random.u8(..10) {
            0..3 => {
                self.invoices += 1;
                let lines =
                    format!(r#"[{{"product":"tea","quantity":{quantity},"cents":{cents}}}]"#);
                let line = format!(
                    r#"{{"event":"order.v1.submit","id":{id},"account":"{account}","lines":{lines}}}"#
                );
                (line, "EUR", total)
            }
            kind => {
                let is_invoice = kind < 9;
                let event = if is_invoice { "submit" } else { "chargeback" };
                let currency = ["EUR", "GBP", "USD"][random.usize(..3)];
                let lines =
                    format!(r#"[{{"product":"tea","quantity":{quantity},"price":{cents}}}]"#);
                let line = format!(
                    r#"{{"event":"order.v2.{event}","id":{id},"account":"{account}","currency":"{currency}","lines":{lines}}}"#
                );
                *(if is_invoice { &mut self.invoices } else { &mut self.chargebacks }) += 1;
                (line, currency, if is_invoice { total } else { -total })
            }
        };
        self.lines.push(line);
        *self.balances.entry((account, currency.to_owned())).or_default() += sum;
    }

    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    pub(crate) fn len(&self) -> u64 {
        self.lines.len() as u64
    }

    /// How many invoices and chargebacks there are.
    pub(crate) fn booked(&self) -> (u64, u64) {
        (self.invoices, self.chargebacks)
    }

    /// What each account has in each currency.
    pub(crate) fn balances(&self) -> &BTreeMap<(String, String), i64> {
        &self.balances
    }
}
