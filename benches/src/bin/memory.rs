//! W7: what a bus takes of memory. A program of its own, because it counts every byte that is
//! allocated, and that costs time.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use autobus_core::internals::Patterns;
use bus::Running;
use bus::prelude::*;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// As large as the order of the other workloads, with its two allocations.
#[event(exchange = "memory", key = "order.submitted")]
struct Order {
    id: u64,
    customer: String,
    lines: Vec<[u64; 2]>,
}

impl Order {
    fn new(id: u64) -> Self {
        Self { id, customer: "customer-0000042".to_owned(), lines: vec![[1, 2], [3, 4]] }
    }

    /// What it takes itself.
    const BYTES: usize = size_of::<Self>() + 16 + 2 * size_of::<[u64; 2]>();
}

/// Held while it is locked.
static HELD: Mutex<bool> = Mutex::new(false);
static RELEASED: Condvar = Condvar::new();

#[listener(Order::SUBMITTED, service = "held")]
fn hold(order: &Order) {
    let _ = (order.id, order.customer.len(), order.lines.len());
    let held = HELD.lock().expect("no panic");
    drop(RELEASED.wait_while(held, |held| *held));
}

macro_rules! services {
    ($($name:ident $service:literal)*) => {
        $(
            #[command(service = $service)]
            fn $name() {}
        )*
    };
}

services!(idle_0 "idle_0" idle_1 "idle_1" idle_2 "idle_2" idle_3 "idle_3");
services!(idle_4 "idle_4" idle_5 "idle_5" idle_6 "idle_6" idle_7 "idle_7");

fn bus_of(services: &[&str]) -> Running {
    bus::builder().services(services.iter().copied()).build().expect("a bus")
}

/// What is allocated after `make`, and not before it.
fn bytes_of<T>(make: impl FnOnce() -> T) -> (usize, T) {
    let before = MEMORY.current_usage();
    let value = make();
    (MEMORY.current_usage().saturating_sub(before), value)
}

fn print(what: &str, bytes: usize, target: usize) {
    println!("| {what} | {bytes} | {target} |");
}

fn main() {
    println!("| W7 | Bytes | Target |\n|---|---:|---:|");
    idle();
    queued();
    flat();
    patterns();
}

fn idle() {
    let names: Vec<String> = (0..8).map(|number| format!("idle_{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    drop(bus_of(&names));
    let (one, bus) = bytes_of(|| bus_of(&names[..1]));
    drop(bus);
    let (eight, bus) = bytes_of(|| bus_of(&names));
    drop(bus);
    print("an idle service beside its stack", eight.saturating_sub(one) / 7, 16 << 10);
}

fn queued() {
    // Nearly as many as a mailbox takes, so that hardly any of its room is empty.
    const EVENTS: u64 = 65_000;
    let bus = bus_of(&["held"]);
    *HELD.lock().expect("no panic") = true;
    drop(bus.fire(Order::new(0)));
    while bus.stats().services.iter().any(|service| service.waiting > 0) {
        std::thread::yield_now();
    }
    let fire = || (0..EVENTS).for_each(|id| drop(bus.fire(Order::new(id))));
    let (bytes, ()) = bytes_of(fire);
    *HELD.lock().expect("no panic") = false;
    RELEASED.notify_all();
    let events = usize::try_from(EVENTS).unwrap_or(usize::MAX);
    print("a queued event beside its payload", (bytes / events).saturating_sub(Order::BYTES), 64);
}

fn flat() {
    const EVENTS: u64 = 5_000_000;
    let bus = bus_of(&["held"]);
    let fire = |ids: std::ops::Range<u64>| {
        for id in ids {
            bus.fire(Order::new(id)).wait().expect("accepted");
        }
        bus.settle();
        // A service that has nothing to do frees what it kept for more.
        std::thread::sleep(Duration::from_millis(500));
    };
    fire(0..100_000);
    let (bytes, ()) = bytes_of(|| fire(0..EVENTS));
    print("five million events later", bytes, 0);
}

fn patterns() {
    pattern("a pattern without wildcards, of 100,000", |_| false);
    pattern("a pattern of 70 % without, 20 % with `*`, 10 % with `#`", |rng| rng.u8(..10) >= 7);
    pattern("a pattern with a wildcard, of 100,000", |_| true);
}

fn pattern(what: &str, is_wild: impl Fn(&mut fastrand::Rng) -> bool) {
    const PATTERNS: u32 = 100_000;
    let mut rng = fastrand::Rng::with_seed(5);
    let patterns: Vec<String> = (0..PATTERNS)
        .map(|_| {
            let mut words =
                ['a', 'b', 'c', 'd'].map(|letter| format!("{letter}{:02}", rng.u8(..40)));
            if is_wild(&mut rng) {
                // Of three, two have a `*` somewhere, and one ends with a `#`.
                let place = rng.usize(..6).min(4);
                if let Some(word) = words.get_mut(place) {
                    "*".clone_into(word);
                } else {
                    "#".clone_into(&mut words[3]);
                }
            }
            words.join(".")
        })
        .collect();
    let (bytes, trie) = bytes_of(|| {
        let mut trie = Patterns::default();
        for (number, pattern) in (0..).zip(&patterns) {
            trie.insert(pattern, number);
        }
        trie
    });
    drop(trie);
    print(what, bytes / patterns.len(), 200);
}
