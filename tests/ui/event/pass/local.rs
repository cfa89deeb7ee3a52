use bus::prelude::*;

use std::sync::Mutex;
use std::sync::mpsc::SyncSender;

#[derive(Event)]
#[event(local, exchange = "work", key = "work.ready")]
struct Ready(SyncSender<u32>, Mutex<u32>);

#[event(local, exchange = "work", key = "work.done")]
#[derive(Debug)]
struct Done(SyncSender<u32>);

#[listener]
fn ready(work: &Ready) {
    let _ = (&work.0, &work.1);
}

pub fn main() {
    let (sender, _receiver) = std::sync::mpsc::sync_channel(1);
    let _ = Done(sender.clone()).done();
    let _ = Ready(sender, Mutex::new(1)).fire();
}
