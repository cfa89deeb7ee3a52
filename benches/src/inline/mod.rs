//! W1 and W2: an event for listeners on the thread that fires it.

#[cfg(feature = "peers")]
mod bevy;
#[cfg(feature = "peers")]
mod event_bus;
mod floor;
#[cfg(feature = "peers")]
mod jaeb;
#[cfg(feature = "peers")]
mod mod_events;
mod ours;
#[cfg(feature = "peers")]
mod rust_bus;

use std::hint::black_box;

use crate::measure::{Candidate, Workload};
use crate::order::{Order, Sink, Tally};

/// W1, and W2 with 8, 64 and 512 listeners.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        workload::<1>("W1", "fire to one inline listener", 1.2),
        workload::<8>("W2-8", "fire to 8 inline listeners", 1.4),
        workload::<64>("W2-64", "fire to 64 inline listeners", 1.4),
        workload::<512>("W2-512", "fire to 512 inline listeners", 1.4),
    ]
}

fn workload<const N: usize>(name: &'static str, about: &'static str, target: f64) -> Workload {
    let peers = vec![
        Candidate::new("direct call", direct::<N>),
        Candidate::new("autobus", ours::fire::<N>),
        Candidate::new("floor of the promises", floor::promises::<N>),
        Candidate::new("Vec<Box<dyn Fn>>", boxed::<N>),
        #[cfg(feature = "peers")]
        Candidate::new("bevy_ecs", bevy::trigger::<N>),
        #[cfg(feature = "peers")]
        Candidate::new("rust_bus", rust_bus::event::<N>),
        #[cfg(feature = "peers")]
        Candidate::new("jaeb", jaeb::publish::<N>),
        #[cfg(feature = "peers")]
        Candidate::new("mod-events", mod_events::emit::<N>),
        #[cfg(feature = "peers")]
        Candidate::new("event-bus", event_bus::dispatch::<N>),
    ];
    let expected = Box::new(|first, n| Tally::of(first, n, N as u64));
    Workload { name, about, target, expected, peers }
}

/// What all listeners do.
static SINK: Sink = Sink::new();

#[inline(never)]
fn heard(order: &Order) {
    SINK.add(order);
}

fn direct<const N: usize>() -> impl FnMut(u64, u64) -> Tally {
    |first, n| {
        for id in first..first + n {
            let order = Order::new(id);
            for _ in 0..N {
                heard(black_box(&order));
            }
        }
        SINK.take()
    }
}

fn boxed<const N: usize>() -> impl FnMut(u64, u64) -> Tally {
    let listener = |_| Box::new(heard) as Box<dyn Fn(&Order) + Send + Sync>;
    let listeners: Vec<_> = (0..N).map(listener).collect();
    move |first, n| {
        for id in first..first + n {
            let order = Order::new(id);
            for listener in black_box(&listeners) {
                listener(&order);
            }
        }
        SINK.take()
    }
}
