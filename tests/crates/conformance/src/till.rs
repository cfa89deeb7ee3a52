//! The service `till`: commands, and the events of the shop.

use bus::prelude::*;

use crate::process::{Gate, Told};

#[event(exchange = "shop", key = "shop.v1.paid")]
pub(crate) struct Paid {
    pub(crate) id: u64,
}

#[event(exchange = "shop", key = "shop.v1.stored")]
pub(crate) struct Stored {
    pub(crate) id: u64,
}

#[event(exchange = "shop", key = "shop.v1.news")]
pub(crate) struct News {
    pub(crate) text: String,
}

#[event(local, exchange = "shop", key = "shop.v1.looked_at")]
pub(crate) struct LookedAt(pub(crate) u64);

/// An error that travels as itself.
#[payload]
#[derive(Debug, PartialEq)]
pub(crate) struct Missing {
    pub(crate) cents: u64,
}

/// An error that travels as its text.
#[derive(Debug)]
pub(crate) struct Locked;

impl std::fmt::Display for Locked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the till is locked")
    }
}

#[command]
pub(crate) fn change(cents: u64, ctx: &Context) -> Result<(u64, String), Missing> {
    if cents > 100 {
        return Err(Missing { cents: cents - 100 });
    }
    Ok((100 - cents, ctx.correlation_id()))
}

#[command]
pub(crate) fn open() -> Result<(), Locked> {
    Err(Locked)
}

#[command]
pub(crate) fn explode() -> u64 {
    panic!("a secret of the till")
}

#[command]
pub(crate) fn ring(told: State<Told>) -> u64 {
    told.tell("ring");
    1
}

/// Answers once the gate is open.
#[command]
pub(crate) fn dawdle(told: State<Told>, gate: State<Gate>) -> u64 {
    told.tell("dawdling");
    gate.wait();
    1
}

#[command(retry = 1, backoff = "1ms")]
pub(crate) fn count(coins: u64, told: State<Told>) -> Result<(), String> {
    told.tell(format!("count {coins}"));
    if coins == 13 { Err("unlucky".to_owned()) } else { Ok(()) }
}

#[command(local)]
pub(crate) fn whisper() -> u64 {
    1
}

/// Tells when it is dropped.
struct GivenUp(State<Told>, u64);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.tell(format!("given up {}", self.1));
    }
}

/// Finds seven, and seeks anything else until nobody wants it.
#[command]
pub(crate) async fn seek(number: u64, told: State<Told>) -> Result<u64, String> {
    if number == 7 {
        return Ok(number);
    }
    told.tell(format!("seeking {number}"));
    let _given_up = GivenUp(told, number);
    std::future::pending().await
}

/// Works until it is asked to stop.
#[command]
pub(crate) fn toil(told: State<Told>, ctx: &Context) {
    told.tell("toiling");
    while !ctx.cancelled() {
        std::thread::yield_now();
    }
    told.tell("asked to stop");
}
