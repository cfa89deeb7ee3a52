//! A crate that a program links and that has nothing for the bus.
