//! What the shop must make of a file of orders, computed from the bare JSON: it shares no code and
//! no types with the shop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::run::Run;

const CURRENCIES: [&str; 3] = ["EUR", "GBP", "USD"];

/// The totals of a file.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) accepted: i128,
    /// The numbers of the malformed lines.
    pub(crate) skipped: Vec<usize>,
    /// How many of each event.
    pub(crate) events: BTreeMap<String, i128>,
    shipped: i128,
    returned: i128,
    balances: BTreeMap<(String, String), i128>,
}

/// A well-formed line.
struct Order {
    event: String,
    account: String,
    currency: String,
    pieces: i128,
    cents: i128,
}

impl Expected {
    pub(crate) fn of(path: &Path) -> Self {
        let mut expected = Self::default();
        let text = std::fs::read_to_string(path).expect("the orders can be read");
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match order(line) {
                Some(order) => expected.add(order),
                None => expected.skipped.push(index + 1),
            }
        }
        expected
    }

    fn add(&mut self, order: Order) {
        self.accepted += 1;
        let balance = self.balances.entry((order.account, order.currency)).or_default();
        if order.event.ends_with(".chargeback") {
            *balance -= order.cents;
            self.returned += order.pieces;
        } else {
            *balance += order.cents;
            self.shipped += order.pieces;
        }
        *self.events.entry(order.event).or_default() += 1;
    }

    /// Asserts that a run of the shop printed these totals and no others, in an aligned table, and
    /// reported the malformed lines and no others.
    pub(crate) fn assert_printed(&self, run: &Run) {
        let reported: Vec<usize> = run
            .stderr
            .lines()
            .map(|line| {
                let rest = line.strip_prefix("line ").and_then(|line| line.split_once(' '));
                let (number, rest) = rest.unwrap_or_else(|| panic!("a stray line: {line}"));
                assert!(rest.starts_with("is skipped: "), "{line}");
                number.parse().unwrap_or_else(|_| panic!("no number: {line}"))
            })
            .collect();
        assert_eq!(reported, self.skipped);

        let (counts, balances) = run.stdout.split_once("\n\n").expect("there are two tables");
        assert_eq!(cells(counts), self.counts());
        assert_eq!(cells(balances), self.accounts());
    }

    fn counts(&self) -> Vec<Vec<String>> {
        let chargebacks = self.events.get("order.v2.chargeback").copied().unwrap_or_default();
        let submitted = self.accepted - chargebacks;
        let mut rows = vec![
            ("accepted".to_owned(), self.accepted),
            ("skipped".to_owned(), self.skipped.len() as i128),
            ("billing: invoices".to_owned(), submitted),
            ("billing: chargebacks".to_owned(), chargebacks),
            ("logistic: orders shipped".to_owned(), submitted),
            ("logistic: pieces shipped".to_owned(), self.shipped),
            ("logistic: pieces returned".to_owned(), self.returned),
        ];
        rows.extend(self.events.iter().map(|(event, count)| (format!("audit: {event}"), *count)));
        rows.push(("failed deliveries".to_owned(), 0));
        rows.into_iter().map(|(name, count)| vec![name, count.to_string()]).collect()
    }

    fn accounts(&self) -> Vec<Vec<String>> {
        let mut rows = vec![vec!["account".to_owned()]];
        rows[0].extend(CURRENCIES.map(str::to_owned));
        let accounts: BTreeSet<&String> =
            self.balances.keys().map(|(account, _)| account).collect();
        for account in accounts {
            let mut row = vec![account.clone()];
            row.extend(CURRENCIES.map(|currency| {
                let balance = self.balances.get(&(account.clone(), currency.to_owned()));
                balance.map_or("-".to_owned(), ToString::to_string)
            }));
            rows.push(row);
        }
        let mut sums = vec!["sum".to_owned()];
        sums.extend(CURRENCIES.map(|currency| {
            let balances = self.balances.iter().filter(|((_, it), _)| it == currency);
            balances.map(|(_, cents)| cents).sum::<i128>().to_string()
        }));
        rows.push(sums);
        rows
    }
}

/// The cells of an aligned table, numbers without commas and points.
fn cells(table: &str) -> Vec<Vec<String>> {
    let width = table.lines().next().map_or(0, UnicodeWidthStr::width);
    let cell = |text: &str| {
        let number = text.replace([',', '.'], "").parse::<i128>();
        number.map_or(text.to_owned(), |number| number.to_string())
    };
    let row = |row: &str| {
        assert_eq!(row.width(), width, "not aligned: {row}");
        row.split("  ").map(str::trim).filter(|text| !text.is_empty()).map(cell).collect()
    };
    table.lines().map(row).collect()
}

/// A line as an order; `None` if it is malformed.
fn order(line: &str) -> Option<Order> {
    let value: Value = serde_json::from_str(line).ok()?;
    let event = value.get("event")?.as_str()?;
    value.get("id")?.as_u64()?;
    let account = value.get("account")?.as_str()?;
    let (currency, price) = match event {
        "order.v1.submit" => ("EUR", "cents"),
        "order.v2.submit" | "order.v2.chargeback" => (value.get("currency")?.as_str()?, "price"),
        _ => return None,
    };
    let (mut pieces, mut cents) = (0, 0);
    for line in value.get("lines")?.as_array()? {
        line.get("product")?.as_str()?;
        let quantity = u32::try_from(line.get("quantity")?.as_u64()?).ok()?;
        let price = u32::try_from(line.get(price)?.as_u64()?).ok()?;
        pieces += i128::from(quantity);
        cents += i128::from(quantity) * i128::from(price);
        if quantity == 0 {
            return None;
        }
    }
    let refused = pieces == 0
        || cents > i128::from(i64::MAX)
        || account.trim().is_empty()
        || !CURRENCIES.contains(&currency);
    (!refused).then(|| Order {
        event: event.to_owned(),
        account: account.to_owned(),
        currency: currency.to_owned(),
        pieces,
        cents,
    })
}
