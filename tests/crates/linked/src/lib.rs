//! A service in a crate that a program links and calls by nothing but its name on the bus.

use bus::prelude::*;

bus::service_name!("warehouse");

/// A box that came in.
#[event(exchange = "warehouse", key = "box.stored")]
#[derive(Debug)]
pub struct Stored {
    /// What is in it.
    pub content: String,
}

/// Tells how long a name is.
#[command]
pub fn measure(name: &str) -> usize {
    name.len()
}

#[listener]
fn stored(stored: &Stored, ctx: &Context) {
    assert_eq!((stored.content.as_str(), ctx.service()), ("tea", "warehouse"));
}
