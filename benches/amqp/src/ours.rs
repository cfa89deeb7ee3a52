//! Autobus, by its macros and its builder.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use autobus_bench_amqp::{Meter, Order, Site};
use bus::prelude::*;

use crate::measure::{Failed, WINDOW, wait_for};

static METER: Meter = Meter::new();

#[listener(Order::SUBMIT, service = "consumer", prefetch = 1000)]
fn take(order: &Order) {
    METER.add(order);
}

/// Something to run for a process that only publishes or calls: without a choice, all services run.
#[command(service = "publisher")]
fn idle() {}

/// What is called.
#[command(service = "server")]
fn double(number: u64) -> u64 {
    2 * number
}

fn bus_of(site: &Site, services: &[&str]) -> Result<bus::Running, Failed> {
    Ok(bus::builder().services(services.iter().copied()).transport(site.bus_url()).build()?)
}

/// Fires orders, and waits for the receipt of each, a thousand later.
pub(crate) fn publish(site: &Site, first: u64, warm: u64, n: u64) -> Result<Duration, Failed> {
    let bus = bus_of(site, &["publisher"])?;
    let fire = |ids: std::ops::Range<u64>| {
        let mut window = VecDeque::with_capacity(WINDOW);
        for id in ids {
            if window.len() == WINDOW
                && let Some(receipt) = window.pop_front()
            {
                Receipt::wait(receipt)?;
            }
            window.push_back(bus.fire(Order::new(id)));
        }
        window.into_iter().try_for_each(|receipt| receipt.wait().map(drop))
    };
    fire(first..first + warm)?;
    let begun = Instant::now();
    fire(first + warm..first + n)?;
    let took = begun.elapsed();
    bus.shutdown()?;
    Ok(took)
}

/// Consumes orders with the listener above.
pub(crate) fn consume(site: &Site, first: u64, n: u64) -> Result<Duration, Failed> {
    METER.reset(n);
    let bus = bus_of(site, &["consumer"])?;
    let took = wait_for(&METER, first, n)?;
    bus.shutdown()?;
    Ok(took)
}

/// Executes the command above, which another bus serves, time after time.
pub(crate) fn call(site: &Site, first: u64, warm: u64, n: u64) -> Result<Duration, Failed> {
    let server = bus_of(site, &["server"])?;
    let caller = bus_of(site, &["publisher"])?;
    let call = |ids: std::ops::Range<u64>| {
        for id in ids {
            let answer = double::on(&caller).execute(id).wait()?;
            if answer != 2 * id {
                return Err(Failed::from(format!("{answer} was answered to {id}")));
            }
        }
        Ok(())
    };
    call(first..first + warm)?;
    let begun = Instant::now();
    call(first + warm..first + n)?;
    let took = begun.elapsed();
    caller.shutdown()?;
    server.shutdown()?;
    Ok(took)
}
