//! The totals: asked from the services that keep them, and written as an aligned table.

use std::fmt::Display;

use bus::prelude::*;
use unicode_width::UnicodeWidthStr as _;

use crate::audit::recorded;
use crate::billing::{accounts, balance, booked};
use crate::logistic::shipped;
use crate::money::Currency;

/// What was read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub accepted: u64,
    pub skipped: u64,
}

/// Writes the totals.
///
/// # Errors
///
/// If a service answers with an error. One that cannot be reached is noted as such.
pub fn write(bus: &Bus, counts: Counts) -> bus::Result<String> {
    let mut rows = vec![row("accepted", counts.accepted), row("skipped", counts.skipped)];
    match ask(booked::execute())? {
        Ok(booked) => {
            rows.push(row("billing: invoices", booked.invoices));
            rows.push(row("billing: chargebacks", booked.chargebacks));
        }
        Err(why) => rows.push(absent("billing", why)),
    }
    match ask(shipped::execute())? {
        Ok(shipped) => {
            rows.push(row("logistic: orders shipped", shipped.orders));
            rows.push(row("logistic: pieces shipped", shipped.pieces));
            rows.push(row("logistic: pieces returned", shipped.returned));
        }
        Err(why) => rows.push(absent("logistic", why)),
    }
    match ask(recorded::execute())? {
        Ok(recorded) => {
            rows.extend(
                recorded.into_iter().map(|(key, count)| row(&format!("audit: {key}"), count)),
            );
        }
        Err(why) => rows.push(absent("audit", why)),
    }
    let stats = bus.stats();
    rows.push(row("failed deliveries", (stats.dead_letters + stats.retrying) as u64));

    let mut text = align(&rows);
    let accounts = ask(accounts::execute())?.unwrap_or_default();
    if !accounts.is_empty() {
        text.push('\n');
        text.push_str(&align(&balances(accounts)?));
    }
    Ok(text)
}

/// A row for each account, with a column for each currency, and the sums below.
fn balances(accounts: impl IntoIterator<Item = String>) -> bus::Result<Vec<Vec<String>>> {
    let mut sums = [0_i128; Currency::ALL.len()];
    let mut rows = vec![with_columns("account", Currency::ALL.map(|it| it.to_string()))];
    for account in accounts {
        let Ok(balances) = ask(balance::execute(&account))? else {
            rows.push(with_columns(&account, Currency::ALL.map(|_| "?".to_owned())));
            continue;
        };
        let cents = Currency::ALL.map(|currency| {
            balances.iter().find(|money| money.currency == currency).map(|money| money.cents)
        });
        for (sum, cents) in sums.iter_mut().zip(cents) {
            *sum += i128::from(cents.unwrap_or(0));
        }
        let columns =
            cents.map(|cents| cents.map_or("-".to_owned(), |cents| decimal(cents.into())));
        rows.push(with_columns(&account, columns));
    }
    rows.push(with_columns("sum", sums.map(decimal)));
    Ok(rows)
}

/// The answer of a command, or why nobody gives one.
fn ask<T, E: Display>(answer: Promise<T, E>) -> bus::Result<Result<T, &'static str>> {
    match answer.wait() {
        Ok(answer) => Ok(Ok(answer)),
        Err(ExecuteError::NotFound(_)) => Ok(Err("not run here")),
        Err(ExecuteError::Interrupted | ExecuteError::Timeout | ExecuteError::Transport(_)) => {
            Ok(Err("out of reach"))
        }
        Err(error) => Err(error.into()),
    }
}

fn row(name: &str, count: u64) -> Vec<String> {
    vec![name.to_owned(), grouped(&count.to_string())]
}

fn absent(service: &str, why: &str) -> Vec<String> {
    vec![service.to_owned(), why.to_owned()]
}

fn with_columns(name: &str, columns: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(columns).collect()
}

/// Hundredths as a decimal number.
fn decimal(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", grouped(&(cents / 100).to_string()), cents % 100)
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes rows in columns: the first to the left, the others to the right, as wide as a terminal
/// shows them.
fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.width());
            let cell = match column {
                0 => format!("{cell}{padding}"),
                _ => format!("  {padding}{cell}"),
            };
            text.push_str(&cell);
        }
        text.push('\n');
    }
    text
}
