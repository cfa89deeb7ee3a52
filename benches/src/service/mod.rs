//! W3: events for the thread of a service.

#[cfg(feature = "peers")]
mod actix;
mod channels;
mod deque;
mod fan_out;
mod floor;
#[cfg(feature = "peers")]
mod jaeb;
#[cfg(feature = "peers")]
mod kameo;
mod ours;
#[cfg(feature = "peers")]
mod ractor;
#[cfg(feature = "peers")]
mod tokio;

#[cfg(feature = "peers")]
pub(crate) use self::actix::start as start_actix;
use crate::measure::{Candidate, Workload};
use crate::order::{Order, Sink, Tally};

/// How many messages a bounded peer holds: as many as a mailbox of ours.
const BOUND: usize = 1_024;

/// W3a, W3b and W3c.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![one::<1>("W3a", 1.2), one::<4>("W3b", 1.0), fan_out::workload()]
}

fn one<const P: u64>(name: &'static str, target: f64) -> Workload {
    let mut peers = vec![
        Candidate::new("crossbeam-channel", channels::crossbeam::<P>),
        Candidate::new("autobus", ours::fire::<P>),
        Candidate::new("floor of the promises", floor::promises::<P>),
        Candidate::new("std sync_channel", channels::std::<P>),
        #[cfg(feature = "peers")]
        Candidate::new("kanal", channels::kanal::<P>),
        #[cfg(feature = "peers")]
        Candidate::new("flume", channels::flume::<P>),
        #[cfg(feature = "peers")]
        Candidate::new("tokio mpsc", tokio::mpsc::<P>),
        #[cfg(feature = "peers")]
        Candidate::new("tokio broadcast", tokio::broadcast::<P>),
        #[cfg(feature = "peers")]
        Candidate::new("kameo", kameo::tell::<P>),
        #[cfg(feature = "peers")]
        Candidate::new("actix", actix::do_send::<P>),
        #[cfg(feature = "peers")]
        Candidate::new("ractor", ractor::cast::<P>),
        #[cfg(feature = "peers")]
        Candidate::new("jaeb", jaeb::publish::<P>),
    ];
    if P > 1 {
        peers.push(Candidate::new("Mutex<VecDeque> drained", deque::drained::<P>));
    }
    let about = match P {
        1 => "fire to one service, receipts waited for",
        _ => "fire to one service from four threads, receipts waited for",
    };
    let expected = Box::new(|first, n| Tally::of(first, n, 1));
    Workload { name, about, target, expected, peers }
}

/// Where the one consumer of each peer adds up.
static SINK: Sink = Sink::new();

/// The part of `n` orders from number `first` on that producer `p` of `P` sends.
fn share<const P: u64>(first: u64, n: u64, p: u64) -> std::ops::Range<u64> {
    first + n * p / P..first + n * (p + 1) / P
}

/// Has `P` threads send `n` orders, and waits until they are handled.
fn produce<const P: u64>(first: u64, n: u64, send: impl Fn(Order) + Sync) -> Tally {
    SINK.expect(n);
    if P == 1 {
        (first..first + n).for_each(|id| send(Order::new(id)));
    } else {
        std::thread::scope(|scope| {
            for p in 0..P {
                let send = &send;
                scope.spawn(move || {
                    share::<P>(first, n, p).for_each(|id| send(Order::new(id)));
                });
            }
        });
    }
    SINK.wait()
}

/// Has `P` tasks send `n` orders, and waits until they are handled.
#[cfg(feature = "peers")]
fn produce_async<const P: u64, F>(
    runtime: &::tokio::runtime::Runtime,
    first: u64,
    n: u64,
    send: impl Fn(std::ops::Range<u64>) -> F,
) -> Tally
where
    F: Future<Output = ()> + Send + 'static,
{
    SINK.expect(n);
    if P == 1 {
        runtime.block_on(send(first..first + n));
    } else {
        let tasks: Vec<_> = (0..P).map(|p| runtime.spawn(send(share::<P>(first, n, p)))).collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.expect("a producer that ends");
            }
        });
    }
    SINK.wait()
}
