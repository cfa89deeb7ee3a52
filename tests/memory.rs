//! Who waits for receipts keeps memory bounded, however much is fired. Alone in its file: it counts every
//! byte of its process.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::atomic::{AtomicU64, Ordering};

use bus::prelude::*;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const EVENTS: u64 = 10_000_000;
/// Fired at once, and then waited for.
const BATCH: u64 = 500;
/// Fired before memory is looked at: mailboxes and tables have their size by then.
const WARM_UP: u64 = 20 * BATCH;
/// Less than a quarter of a byte for each event; a mailbox at its bound needs a part of it.
const MOST: usize = 2 << 20;

static HEARD: AtomicU64 = AtomicU64::new(0);

#[event(exchange = "rain", key = "drop")]
struct Drop {
    number: u64,
}

#[listener]
fn fall(drop: &Drop) {
    HEARD.fetch_add(drop.number, Ordering::Relaxed);
}

#[test]
fn ten_million_events_with_waited_receipts_take_no_more_memory_than_a_mailbox() {
    let bus = bus::builder().build().unwrap();
    let fire = |numbers: std::ops::Range<u64>| {
        for first in numbers.step_by(usize::try_from(BATCH).unwrap()) {
            let batch = first..first + BATCH;
            let receipts: Vec<Receipt> = batch.map(|number| bus.fire(Drop { number })).collect();
            // The last one first: this thread and the service's take turns once for each batch.
            for receipt in receipts.into_iter().rev() {
                receipt.wait().unwrap();
            }
        }
    };
    fire(0..WARM_UP);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    fire(WARM_UP..EVENTS);
    let most = MEMORY.peak_usage() - before;
    assert!(most < MOST, "{most} bytes more than before");
    bus.settle();
    assert_eq!(HEARD.load(Ordering::Relaxed), EVENTS * (EVENTS - 1) / 2);
    assert!(MEMORY.current_usage() < before + MOST);
}
