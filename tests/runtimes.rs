//! The same calls under tokio, under smol, under a bare `block_on`, and without any of them.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::time::Duration;

use bus::prelude::*;
use bus::{Clock, Running};
use support::{Door, Log, yield_often};

#[event(exchange = "runtimes", key = "asked")]
struct Asked {
    x: u32,
}

#[command]
async fn double(x: u32) -> Result<u32, String> {
    yield_often().await;
    if x == 13 { Err("unlucky".into()) } else { Ok(x * 2) }
}

#[command]
fn twice(x: u32) -> u32 {
    x * 2
}

#[command]
async fn held(door: State<Door>) -> u32 {
    door.pass().await;
    1
}

#[listener]
async fn heard(asked: &Asked, log: State<Log<u32>>) {
    log.add(double::execute(asked.x).await.unwrap());
}

fn start() -> (Running, Log<u32>, Door, Clock) {
    let (log, door, clock) = (Log::default(), Door::default(), Clock::manual());
    let bus = bus::builder().clock(clock.clone()).state(log.clone()).state(door.clone());
    (bus.build().unwrap(), log, door, clock)
}

/// Everything that can be awaited.
async fn everything(bus: &Bus, log: &Log<u32>, door: &Door, clock: &Clock) {
    assert_eq!(double::on(bus).execute(4).await, Ok(8));
    assert_eq!(twice::on(bus).execute(4).await, Ok(8));
    let error = double::on(bus).execute(13).await;
    assert_eq!(error, Err(ExecuteError::Handler("unlucky".to_owned())));
    assert_eq!(bus.execute_command::<_, u32>("double", (5,)).await, Ok(10));
    assert!(bus.fire(Asked { x: 3 }).await.unwrap().routed);
    let outcomes = bus.fire(Asked { x: 4 }).handled().await.unwrap();
    assert!(outcomes.get("heard").unwrap().is_ok());
    assert_eq!(log.all(), [6, 8]);
    // Many at once, answered in any order.
    let promises: Vec<_> = (14..64).map(|x| double::on(bus).execute(x)).collect();
    for (x, promise) in (14..).zip(promises) {
        assert_eq!(promise.await, Ok(x * 2));
    }
    // A time that passes while it is awaited.
    let waits = held::on(bus).execute().timeout(Duration::from_secs(1));
    let passes = async {
        yield_often().await;
        clock.advance(Duration::from_secs(1));
    };
    let (timed_out, ()) = futures_lite::future::zip(waits, passes).await;
    assert_eq!(timed_out, Err(ExecuteError::Timeout));
    door.open();
}

#[test]
fn under_smol() {
    let (bus, log, door, clock) = start();
    smol::block_on(everything(&bus, &log, &door, &clock));
}

#[test]
fn under_tokio_with_one_thread() {
    let (bus, log, door, clock) = start();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(everything(&bus, &log, &door, &clock));
}

#[tokio::test]
async fn started_inside_of_tokio() {
    let (bus, log, door, clock) = start();
    everything(&bus, &log, &door, &clock).await;
    // Blocking works there too: no handler needs the runtime's thread.
    assert_eq!(double::on(&bus).execute(4).wait(), Ok(8));
    bus.shutdown().unwrap();
}

#[test]
fn under_a_bare_block_on() {
    let (bus, log, door, clock) = start();
    futures_lite::future::block_on(everything(&bus, &log, &door, &clock));
}

#[test]
fn a_promise_moves_between_executors_while_it_waits() {
    let (bus, _log, door, _clock) = start();
    let mut promise = held::on(&bus).execute();
    door.wait_for_one();
    let first = smol::block_on(futures_lite::future::poll_once(&mut promise));
    assert!(first.is_none());
    let waiter = std::thread::spawn(move || futures_lite::future::block_on(promise));
    door.open();
    assert_eq!(waiter.join().unwrap(), Ok(1));
}

#[test]
fn waiting_needs_no_executor() {
    let (bus, _log, _door, _clock) = start();
    std::thread::scope(|scope| {
        for x in 14..24 {
            let bus = &bus;
            scope.spawn(move || assert_eq!(double::on(bus).execute(x).wait(), Ok(x * 2)));
        }
    });
}
