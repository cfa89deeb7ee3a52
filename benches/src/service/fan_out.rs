//! W3c: eight services of eight listeners each.

use std::sync::Arc;
use std::thread;

use bus::prelude::*;

use super::BOUND;
use super::floor::Bus;
use crate::measure::{Candidate, Workload};
use crate::names::names_8;
use crate::order::{Order, Sink, Tally};

/// Eight services of eight listeners, beside eight channels of an `Arc`.
pub(super) fn workload() -> Workload {
    Workload {
        name: "W3c",
        about: "fire to 8 services of 8 listeners each",
        target: 1.0,
        expected: Box::new(|first, n| Tally::of(first, n, 64)),
        peers: vec![
            Candidate::new("8 crossbeam-channels", channels),
            Candidate::new("autobus", ours),
            Candidate::new("floor of the promises", floor),
        ],
    }
}

/// One for each service.
static SINKS: [Sink; 8] = [const { Sink::new() }; 8];

fn expect(n: u64) {
    for sink in &SINKS {
        sink.expect(8 * n);
    }
}

fn wait() -> Tally {
    SINKS.iter().map(Sink::wait).fold(Tally::default(), Tally::and)
}

fn channels() -> impl FnMut(u64, u64) -> Tally {
    let consumer = |sink: &'static Sink| {
        let (sender, receiver) = crossbeam_channel::bounded::<Arc<Order>>(BOUND);
        thread::spawn(move || {
            for order in receiver {
                for _ in 0..8 {
                    sink.add(&order);
                }
            }
        });
        sender
    };
    let senders: Vec<_> = SINKS.iter().map(consumer).collect();
    move |first, n| {
        expect(n);
        for id in first..first + n {
            let order = Arc::new(Order::new(id));
            for sender in &senders {
                sender.send(order.clone()).expect("received");
            }
        }
        wait()
    }
}

macro_rules! listeners {
    ($module:ident $service:tt $index:tt; $($name:ident)*) => {
        mod $module {
            use super::*;
            $(
                #[listener(service = $service)]
                fn $name(order: &Order) {
                    SINKS[$index].add(order);
                }
            )*
        }
    };
}

names_8!(listeners zero "fan_0" 0);
names_8!(listeners one "fan_1" 1);
names_8!(listeners two "fan_2" 2);
names_8!(listeners three "fan_3" 3);
names_8!(listeners four "fan_4" 4);
names_8!(listeners five "fan_5" 5);
names_8!(listeners six "fan_6" 6);
names_8!(listeners seven "fan_7" 7);

fn floor() -> impl FnMut(u64, u64) -> Tally {
    let hear = |sink: &'static Sink| move |order: &Order| sink.add(order);
    let bus = Bus::new(8 * BOUND, SINKS.iter().map(|sink| vec![hear(sink); 8]));
    move |first, n| {
        expect(n);
        (first..first + n).for_each(|id| bus.fire(Order::new(id)));
        wait()
    }
}

fn ours() -> impl FnMut(u64, u64) -> Tally {
    let names: Vec<String> = (0..8).map(|service| format!("fan_{service}")).collect();
    // A bound counts deliveries, of which an event is eight here: as many events as the channels hold.
    let bus = bus::builder().services(names).mailbox(8 * BOUND).build().expect("a bus");
    move |first, n| {
        expect(n);
        for id in first..first + n {
            bus.fire(Order::new(id)).wait().expect("accepted");
        }
        wait()
    }
}
