//! The shop's billing on a test bus: five retries over three minutes, in no time.

#![allow(dead_code, unreachable_pub, reason = "the shop has more than billing")]

#[path = "../examples/shop/billing.rs"]
mod billing;
#[path = "../examples/shop/ledger.rs"]
mod ledger;
#[path = "../examples/shop/money.rs"]
mod money;
#[path = "../examples/shop/order.rs"]
mod order;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bus::testing::TestBus;

use crate::billing::{balance, book, booked};
use crate::ledger::LedgerStore;
use crate::money::{Currency, Money};
use crate::order::{Line, Order};

/// What no test takes that moves virtual time alone, on however slow a machine.
const REAL: Duration = Duration::from_secs(20);

fn shop() -> bus::Result<TestBus> {
    TestBus::builder().state(LedgerStore::memory()).build()
}

fn order() -> Order {
    let quantity = NonZeroU32::new(2).expect("two is not zero");
    let line = Line { product: "tea".to_owned(), quantity, price: 450 };
    Order { id: 7, account: "alice".to_owned(), currency: Currency::Eur, lines: vec![line] }
}

#[test]
fn billing_retries_five_times_over_three_minutes_and_takes_no_time() -> bus::Result<()> {
    let bus = shop()?;
    bus.inject("billing.ledger.book")?.fail(5, "the ledger is out of reach");
    let (start, real) = (bus.time(), Instant::now());

    let outcomes = bus.fire(order()).handled().wait()?;

    outcomes.ok()?;
    assert_eq!(bus.time(), start + Duration::from_secs(180));
    assert!(real.elapsed() < REAL, "{:?}", real.elapsed());
    assert_eq!(booked::on(&bus).execute().wait()?.invoices, 1);
    let stats = bus.stats();
    let invoice = stats.handlers.iter().find(|handler| handler.name == "billing_order");
    let invoice = invoice.expect("billing hears orders");
    assert_eq!((invoice.failed, invoice.retried, invoice.handled, invoice.dead), (5, 5, 1, 0));
    Ok(())
}

#[test]
fn each_retry_comes_at_its_time() -> bus::Result<()> {
    let bus = shop()?;
    let attempts = || {
        let stats = bus.stats();
        let book = stats.handlers.iter().find(|handler| handler.name == "billing.ledger.book");
        book.expect("the ledger books").failed
    };
    bus.inject("billing.ledger.book")?.fail(6, "the ledger is out of reach");
    bus.fire(order());
    bus.settle();
    for (seconds, before) in [(5, 1), (10, 2), (15, 3), (30, 4), (120, 5)] {
        bus.advance(Duration::from_secs(seconds).saturating_sub(Duration::from_nanos(1)));
        assert_eq!(attempts(), before);
        bus.advance(Duration::from_nanos(1));
        assert_eq!(attempts(), before + 1);
    }
    let dead = bus.dead_letters().list()?;
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].listener(), dead[0].attempts()), ("billing_order", 6));
    assert_eq!(dead[0].reason().message(), "the ledger is out of reach");
    Ok(())
}

#[test]
fn an_order_that_comes_twice_is_billed_once() -> bus::Result<()> {
    let bus = shop()?;
    bus.inject("billing.invoice")?.duplicate(1);
    bus.fire(order()).handled().wait()?.ok()?;
    // Whoever calls the ledger has its answer before the ledger is done.
    bus.settle();
    let stats = bus.stats();
    let book = stats.handlers.iter().find(|handler| handler.name == "billing.ledger.book");
    assert_eq!(book.expect("the ledger books").handled, 2);
    let euros = Money { cents: 900, currency: Currency::Eur };
    assert_eq!(balance::on(&bus).execute("alice").wait()?, [euros]);
    Ok(())
}

#[test]
fn billing_goes_without_its_ledger() -> bus::Result<()> {
    let bus = TestBus::builder()
        .state(LedgerStore::memory())
        .without(["billing.ledger"])
        .replace::<book, _>(
            |_: String, account: String, _: billing::Booking| {
                if account == "alice" { Ok(()) } else { Err("no such account") }
            },
        )
        .build()?;
    bus.fire(order()).handled().wait()?.ok()?;
    let outcomes = bus.fire(Order { account: "bob".to_owned(), ..order() }).handled().wait()?;
    let invoice = outcomes.get("billing_order").expect("billing hears orders");
    assert_eq!(invoice.failure().expect("bob has no account").message(), "no such account");
    assert_eq!(invoice.attempts(), Some(6));
    Ok(())
}
