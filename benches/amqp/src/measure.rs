//! Running the peers: interleaved, repetition by repetition, each one checked.

use std::time::{Duration, Instant};

use autobus_bench_amqp::{Meter, Order, QueueType, Site, Tally};
use autobus_testkit::Broker;

use crate::args::Args;
use crate::raw::lapin::Metadata;
use crate::{ours, raw};

/// The most messages that are published and not confirmed.
pub(crate) const WINDOW: usize = 1000;
/// How long a peer may take for one repetition.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Publish(QueueType),
    Consume(QueueType),
    Call,
}

impl Work {
    pub(crate) const ALL: [Self; 5] = [
        Self::Publish(QueueType::Quorum),
        Self::Consume(QueueType::Quorum),
        Self::Publish(QueueType::Classic),
        Self::Consume(QueueType::Classic),
        Self::Call,
    ];

    /// Its name in the table, and on the command line.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Publish(kind) => format!("publish, {}", kind.name()),
            Self::Consume(kind) => format!("consume, {}", kind.name()),
            Self::Call => "call".to_owned(),
        }
    }
}

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Lapin,
    /// Whose messages have the metadata of ours.
    Dressed,
    Autobus,
    Amqprs,
}

impl Peer {
    /// The baseline first.
    pub(crate) const ALL: [Self; 4] = [Self::Lapin, Self::Dressed, Self::Autobus, Self::Amqprs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lapin => "raw lapin",
            Self::Dressed => "raw lapin, same messages",
            Self::Autobus => "autobus",
            Self::Amqprs => "raw amqprs",
        }
    }

    fn publish(self, site: &Site, first: u64, warm: u64, n: u64) -> Result<Duration, Failed> {
        match self {
            Self::Lapin => raw::lapin::publish(site, Metadata::Least, first, warm, n),
            Self::Dressed => raw::lapin::publish(site, Metadata::Full, first, warm, n),
            Self::Autobus => ours::publish(site, first, warm, n),
            Self::Amqprs => raw::amqprs::publish(site, first, warm, n),
        }
    }

    fn consume(self, site: &Site, first: u64, n: u64) -> Result<Duration, Failed> {
        match self {
            Self::Lapin | Self::Dressed => raw::lapin::consume(site, first, n),
            Self::Autobus => ours::consume(site, first, n),
            Self::Amqprs => raw::amqprs::consume(site, first, n),
        }
    }
}

/// How much, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) repetitions: u64,
    /// Before the time is taken, of each repetition.
    pub(crate) warm: u64,
    pub(crate) orders: u64,
    pub(crate) calls: u64,
}

/// What one peer took for one message or call, in each repetition.
#[derive(Debug, Clone)]
pub(crate) struct Timing {
    pub(crate) work: Work,
    pub(crate) peer: Peer,
    pub(crate) seconds: Vec<f64>,
}

/// Measures everything that is wanted.
///
/// # Errors
///
/// The first peer that failed, or lost or doubled something.
pub(crate) fn run(broker: Broker, args: &Args) -> Result<Vec<Timing>, Failed> {
    let mut timings = Vec::new();
    for work in Work::ALL {
        for peer in Peer::ALL {
            timings.push(Timing { work, peer, seconds: Vec::new() });
        }
    }
    let effort = args.effort();
    for kind in [QueueType::Quorum, QueueType::Classic] {
        if args.wants(&Work::Publish(kind).name()) || args.wants(&Work::Consume(kind).name()) {
            orders(broker, args, kind, effort, &mut timings)?;
        }
    }
    if args.wants(&Work::Call.name()) {
        calls(broker, args, effort, &mut timings)?;
    }
    timings.retain(|timing| !timing.seconds.is_empty());
    Ok(timings)
}

/// Each peer publishes, and consumes what it has published.
fn orders(
    broker: Broker,
    args: &Args,
    kind: QueueType,
    effort: Effort,
    timings: &mut [Timing],
) -> Result<(), Failed> {
    let Effort { repetitions, warm, orders: n, .. } = effort;
    let mut sites = Vec::new();
    for peer in Peer::ALL.into_iter().filter(|peer| args.wants_peer(peer.name())) {
        let site = Site::new(broker, kind);
        if peer != Peer::Autobus {
            site.declare();
        }
        sites.push((peer, site));
    }
    let len = sites.len();
    for repetition in 0..repetitions {
        for index in 0..len {
            // Nobody always comes after the same one.
            let (peer, site) = &sites[(index + usize::try_from(repetition)?) % len];
            let first = repetition * n;
            let failed = |what: &str, error: Failed| {
                Failed::from(format!("{} failed to {what} ({}): {error}", peer.name(), kind.name()))
            };
            let took = peer.publish(site, first, warm, n).map_err(|e| failed("publish", e))?;
            note(timings, Work::Publish(kind), *peer, took, n - warm);
            let took = peer.consume(site, first, n).map_err(|e| failed("consume", e))?;
            note(timings, Work::Consume(kind), *peer, took, n - 1);
            let left = site.waiting();
            if left > 0 {
                let text = format!("{left} messages were not acknowledged");
                return Err(failed("consume", text.into()));
            }
        }
    }
    Ok(())
}

fn calls(
    broker: Broker,
    args: &Args,
    effort: Effort,
    timings: &mut [Timing],
) -> Result<(), Failed> {
    let Effort { repetitions, calls: n, .. } = effort;
    let warm = n / 10;
    let peers = [Peer::Lapin, Peer::Dressed, Peer::Autobus];
    let mut sites = Vec::new();
    for peer in peers.into_iter().filter(|peer| args.wants_peer(peer.name())) {
        sites.push((peer, Site::new(broker, QueueType::Quorum)));
    }
    let len = sites.len();
    for repetition in 0..repetitions {
        for index in 0..len {
            let (peer, site) = &sites[(index + usize::try_from(repetition)?) % len];
            let first = repetition * n;
            let took = match peer {
                Peer::Autobus => ours::call(site, first, warm, n),
                Peer::Dressed => raw::lapin::call(site, Metadata::Full, first, warm, n),
                _ => raw::lapin::call(site, Metadata::Least, first, warm, n),
            };
            let took = took.map_err(|error| format!("{} failed to call: {error}", peer.name()))?;
            note(timings, Work::Call, *peer, took, n - warm);
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52 messages")]
fn note(timings: &mut [Timing], work: Work, peer: Peer, took: Duration, n: u64) {
    let each = took.as_secs_f64() / n as f64;
    eprintln!("{:>16} {:<28} {:>8.1} µs", work.name(), peer.name(), each * 1e6);
    let same = timings.iter_mut().find(|timing| timing.work == work && timing.peer == peer);
    if let Some(timing) = same {
        timing.seconds.push(each);
    }
}

/// Waits until `n` orders from number `first` on are handled; how long that took from the first.
pub(crate) fn wait_for(meter: &Meter, first: u64, n: u64) -> Result<Duration, Failed> {
    let begun = Instant::now();
    while !meter.is_full() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{:?} of {n} within {PATIENCE:?}", meter.tally()).into());
        }
        // The time is taken by the handlers.
        std::thread::sleep(Duration::from_millis(5));
    }
    finished(meter, first, n)
}

/// How long it took, if `n` orders from number `first` on were handled once each.
pub(crate) fn finished(meter: &Meter, first: u64, n: u64) -> Result<Duration, Failed> {
    let (found, expected) = (meter.tally(), Tally::of(first, n));
    match meter.took() {
        Some(took) if found == expected => Ok(took),
        _ => Err(format!("handled {found:?}; expected {expected:?}").into()),
    }
}

/// Does one kind of work of ours again and again, for a profiler.
pub(crate) fn profile(broker: Broker, what: &str, n: u64) -> Result<(), Failed> {
    let site = Site::new(broker, QueueType::Quorum);
    let took = match what {
        "publish" => ours::publish(&site, 0, 100, n)?,
        "consume" => {
            // By somebody else's hands, so that the profile has none of it.
            let bus = bus::builder().services(["publisher"]).transport(site.bus_url()).build()?;
            for id in 0..n {
                let receipt = bus.fire(Order::new(id));
                if id % 500 == 0 {
                    receipt.wait()?;
                }
            }
            bus.shutdown()?;
            ours::consume(&site, 0, n)?
        }
        "call" => ours::call(&site, 0, 10, n)?,
        _ => return Err(format!("`{what}` is no work; expected publish, consume or call").into()),
    };
    eprintln!("{what}: {n} in {took:?}");
    Ok(())
}
