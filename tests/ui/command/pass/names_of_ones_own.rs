#![allow(non_upper_case_globals, dead_code, non_snake_case)]

mod core {}
mod std {}

struct Box;
struct Vec;
struct String;
struct Promise;
struct Receipt;
trait Clone {}
const None: u32 = 1;
const bus_: u32 = 2;
fn Ok() {}
fn Some() {}

#[::bus::command]
fn shadow(bus: u32, args: u32, this: u32) -> u32 {
    bus + args + this
}

#[::bus::listener("order.*")]
fn billing(payload: &u32, ctx: &::bus::Context) {
    let _ = (payload, ctx);
}

#[::bus::event(exchange = "order", key = "order.none")]
struct Order;

pub fn main() {
    let _ = shadow::execute(1, 2, 3);
    let _ = Order.none();
}
