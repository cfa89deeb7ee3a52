//! A service in a crate that a program depends on and never names: it is not linked.

use bus::prelude::*;

bus::service_name!("attic");

/// Nobody finds it.
#[command]
pub fn rummage() -> u32 {
    1
}
