use bus::prelude::*;

#[cfg(any())]
#[event(exchange = "order", key = "order.submit")]
struct Absent(Missing);

#[event(exchange = "order", key = "order.submit")]
#[cfg(any())]
struct AbsentToo(Missing);

#[event(exchange = "order", key = "order.submit")]
#[cfg_attr(any(), cfg(any()))]
struct Present;

pub fn main() {
    let _ = Present.submit();
}
