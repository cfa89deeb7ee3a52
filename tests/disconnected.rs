//! A bus whose broker is away: starting, firing, calling and stopping, each with its deadline.
#![cfg(feature = "amqp")]

use std::time::{Duration, Instant};

use autobus_testkit::{Proxy, Rabbit, Vhost, poll_until, ports};
use bus::prelude::*;
use bus::{Builder, ErrorKind, Running};

#[event(exchange = "shop", key = "shop.v1.paid")]
struct Paid {
    id: u64,
}

#[listener(Paid::EVENT, service = "books")]
fn write_down(paid: &Paid) -> Result<(), String> {
    if paid.id == 0 { Err("nothing was paid".to_owned()) } else { Ok(()) }
}

#[command(service = "till")]
fn change(cents: u64) -> u64 {
    100 - cents
}

/// What nothing here takes that has a shorter deadline, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process without services, so that it neither hears nor serves anything itself.
fn process(url: &str) -> Running {
    Builder::new()
        .transport(url)
        .services(["till"])
        .confirm_within(Duration::from_millis(300))
        .command_timeout(Duration::from_millis(500))
        .shutdown_within(Duration::from_secs(1))
        .build()
        .expect("the bus starts")
}

/// A broker behind a proxy that can be shut.
fn broker() -> (Vhost, Proxy, String) {
    let vhost = Rabbit::shared().vhost();
    let proxy = Proxy::start(vhost.broker().addr());
    let url = vhost.url_via(proxy.port());
    (vhost, proxy, url)
}

fn shut(proxy: &Proxy, bus: &Running) {
    proxy.refuse();
    proxy.cut();
    poll_until("the loss of the connection", || (!bus.health().ready).then_some(()));
}

#[test]
fn starting_without_a_broker_fails_within_its_deadline_and_says_where() {
    let begun = Instant::now();
    let url = format!("amqp://billing:a-secret@127.0.0.1:{}/shop", ports::free());
    let started = Builder::new().transport(url).connect_within(Duration::from_millis(300)).build();
    let error = started.map(drop).expect_err("nobody listens there");
    assert_eq!(error.kind(), ErrorKind::Transport);
    let text = format!("{error} {error:?}");
    assert!(text.contains("127.0.0.1") && text.contains("billing"), "{text}");
    assert!(!text.contains("a-secret"), "{text}");
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_is_fired_while_the_broker_is_away_is_published_when_it_is_back() -> bus::Result<()> {
    let (vhost, proxy, url) = broker();
    let bus = process(&url);
    shut(&proxy, &bus);
    let reasons = bus.health().reasons;
    assert!(reasons.iter().any(|reason| reason.contains("not connected")), "{reasons:?}");
    let error = bus.fire(Paid { id: 1 }).wait().expect_err("nobody confirms it");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_retryable() && error.to_string().contains("is kept"), "{error}");

    proxy.accept();
    poll_until("the connection", || bus.health().ready.then_some(()));
    let receipt = bus.fire(Paid { id: 2 });
    poll_until("both events in their queue", || {
        let depth = vhost.depth("books.write_down")?;
        (depth.ready == 2).then_some(())
    });
    drop(receipt);
    bus.shutdown()
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_call_while_the_broker_is_away_ends_with_its_timeout() -> bus::Result<()> {
    let (_vhost, proxy, url) = broker();
    let bus = process(&url);
    shut(&proxy, &bus);
    // This process serves it, and asks nobody.
    assert_eq!(change::on(&bus).execute(40).wait(), Ok(60));
    let elsewhere = bus.execute_command::<_, u64>("nobody.knows", ());
    let error = elsewhere.wait().expect_err("nobody can be asked");
    assert!(matches!(error, ExecuteError::Timeout | ExecuteError::Transport(_)), "{error:?}");
    proxy.accept();
    poll_until("the connection", || bus.health().ready.then_some(()));
    let error = bus.execute_command::<_, u64>("nobody.knows", ()).wait();
    assert!(matches!(error, Err(ExecuteError::NotFound(_))), "{error:?}");
    bus.shutdown()
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn stopping_while_the_broker_is_away_keeps_its_deadline_and_names_what_is_lost() {
    let (_vhost, proxy, url) = broker();
    let bus = process(&url);
    shut(&proxy, &bus);
    drop(bus.fire(Paid { id: 3 }));
    let begun = Instant::now();
    let error = bus.shutdown().expect_err("an event was not published");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert!(error.to_string().contains("`shop.v1.paid`"), "{error}");
    // A second one is harmless.
    bus.shutdown().expect("it has stopped");
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn too_much_that_is_unconfirmed_gives_the_event_back() -> bus::Result<()> {
    let (_vhost, proxy, url) = broker();
    let bus = Builder::new()
        .transport(&url)
        .services(["till"])
        .mailbox(2)
        .shutdown_within(Duration::from_secs(1))
        .build()?;
    shut(&proxy, &bus);
    let receipts: Vec<Receipt> = (1..3).map(|id| bus.fire(Paid { id })).collect();
    let full = bus.try_fire(Paid { id: 9 }).expect_err("two are on their way already");
    assert_eq!(full.0.id, 9);
    proxy.accept();
    for receipt in receipts {
        receipt.wait()?;
    }
    assert!(bus.try_fire(Paid { id: 9 }).is_ok());
    bus.shutdown()
}
