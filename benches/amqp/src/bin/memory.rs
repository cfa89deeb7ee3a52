//! Whether memory stays flat while a bus publishes and handles a million events over RabbitMQ. A
//! program of its own, because it counts every byte that is allocated, and that costs time.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use autobus_bench_amqp::{Meter, Order, QueueType, Site, Tally};
use autobus_testkit::{Options, Rabbit};
use bus::prelude::*;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

static METER: Meter = Meter::new();

/// What it may grow after the first mark.
const MOST: usize = 1 << 20;
const WINDOW: usize = 1000;

#[listener(Order::SUBMIT, service = "consumer")]
fn take(order: &Order) {
    METER.add(order);
}

/// Bytes on the heap while everything is settled, and the most in between; the process's own pages.
struct Mark {
    events: u64,
    heap: usize,
    peak: usize,
    resident: u64,
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let marks = if quick { [5_000, 20_000, 50_000] } else { [100_000, 500_000, 1_000_000] };
    let broker = Rabbit::try_start(&Options::default())?;
    let site = Site::new(*broker, QueueType::Quorum);
    let bus = bus::builder().services(["consumer"]).transport(site.bus_url()).build()?;
    METER.reset(u64::MAX);
    let mut found: Vec<Mark> = Vec::new();
    let mut next = 0;
    for events in marks {
        MEMORY.reset_peak_usage();
        let mut window = VecDeque::with_capacity(WINDOW);
        for id in next..events {
            if window.len() == WINDOW
                && let Some(receipt) = window.pop_front()
            {
                Receipt::wait(receipt)?;
            }
            window.push_back(bus.fire(Order::new(id)));
        }
        window.into_iter().try_for_each(|receipt| receipt.wait().map(drop))?;
        next = events;
        let begun = Instant::now();
        while METER.tally() != Tally::of(0, events) {
            if begun.elapsed() > Duration::from_secs(300) {
                return Err(format!("{:?} of {events} events were handled", METER.tally()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bus.settle();
        let (heap, peak) = (MEMORY.current_usage(), MEMORY.peak_usage());
        found.push(Mark { events, heap, peak, resident: resident().unwrap_or_default() });
    }
    bus.shutdown()?;
    println!("| Events | heap, settled | heap, peak | resident |\n|---:|---:|---:|---:|");
    for Mark { events, heap, peak, resident } in &found {
        println!("| {events} | {} KiB | {} KiB | {} KiB |", heap >> 10, peak >> 10, resident);
    }
    if let [first, .., last] = &found[..] {
        let growth = last.heap.saturating_sub(first.heap);
        if growth > MOST {
            return Err(format!("the heap grew by {growth} bytes; at most {MOST} is flat").into());
        }
    }
    Ok(())
}

/// The pages of this process, in KiB, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench amqp: {error}");
            ExitCode::FAILURE
        }
    }
}
