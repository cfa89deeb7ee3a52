//! What the programs of this package share: the event, and what is set up at the broker for it.

mod order;
mod site;

pub use order::{Meter, Order, Tally};
pub use site::{QueueType, Site};
