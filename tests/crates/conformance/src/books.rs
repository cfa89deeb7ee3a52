//! The services `books`, `store` and `board`: listeners.

use bus::prelude::*;

use crate::process::{Gate, Told};
use crate::till::{LookedAt, News, Paid, Stored};

/// The payments that nobody can write down.
pub(crate) const UNLUCKY: u64 = 13;

#[listener(Paid::EVENT, service = "books", queue = "books.paid", retry = 2, backoff = "1ms")]
fn write_down(paid: &Paid, ctx: &Context, told: State<Told>) -> Result<(), String> {
    told.tell(format!("paid {} attempt {} {}", paid.id, ctx.attempt(), ctx.idempotency_key()));
    if paid.id == UNLUCKY { Err("unlucky".to_owned()) } else { Ok(()) }
}

#[listener(LookedAt::EVENT, service = "books")]
fn notice(looked: &LookedAt, told: State<Told>) {
    told.tell(format!("looked at {}", looked.0));
}

/// Stores one after another, once the gate is open.
#[listener(Stored::EVENT, service = "store", queue = "store.stored")]
fn store(stored: &Stored, told: State<Told>, gate: State<Gate>) {
    told.tell(stored.id.to_string());
    gate.wait();
}

#[listener(News::EVENT, service = "board", broadcast)]
fn read(news: &News, told: State<Told>) {
    told.tell(news.text.clone());
}
