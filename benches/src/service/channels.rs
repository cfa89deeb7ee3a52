//! Bounded channels, and a thread that receives.

use std::thread;

use super::{BOUND, SINK, produce};
use crate::order::{Order, Tally};

/// `crossbeam_channel::bounded`.
pub(super) fn crossbeam<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let (sender, receiver) = crossbeam_channel::bounded::<Order>(BOUND);
    thread::spawn(move || receiver.iter().for_each(|order| SINK.add(&order)));
    move |first, n| produce::<P>(first, n, |order| sender.send(order).expect("received"))
}

/// `std::sync::mpsc::sync_channel`.
pub(super) fn std<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Order>(BOUND);
    thread::spawn(move || receiver.iter().for_each(|order| SINK.add(&order)));
    move |first, n| produce::<P>(first, n, |order| sender.send(order).expect("received"))
}

/// `kanal::bounded`.
#[cfg(feature = "peers")]
pub(super) fn kanal<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let (sender, receiver) = kanal::bounded::<Order>(BOUND);
    thread::spawn(move || receiver.for_each(|order| SINK.add(&order)));
    move |first, n| produce::<P>(first, n, |order| sender.send(order).expect("received"))
}

/// `flume::bounded`.
#[cfg(feature = "peers")]
pub(super) fn flume<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let (sender, receiver) = flume::bounded::<Order>(BOUND);
    thread::spawn(move || receiver.iter().for_each(|order| SINK.add(&order)));
    move |first, n| produce::<P>(first, n, |order| sender.send(order).expect("received"))
}
