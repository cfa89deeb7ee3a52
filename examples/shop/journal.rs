//! A layer that writes down what was handled, for whoever wants to count it afterwards.
//!
//! With `SHOP_JOURNAL=PATH` every handled delivery is a line of that file: the listener, the id of the
//! message, and which attempt it was. A line is one write, so it is there although the process is
//! killed right after.

use std::fs::File;
use std::io::Write as _;

use bus::{Context, Failure, Kind, Layer};

/// Writes down what was handled.
pub struct Journal(File);

impl Journal {
    /// The journal that `SHOP_JOURNAL` names, if it names one.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn from_env() -> std::io::Result<Option<Self>> {
        let Some(path) = std::env::var_os("SHOP_JOURNAL") else { return Ok(None) };
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Some(Self(file)))
    }
}

impl Layer for Journal {
    type Attempt = ();

    fn before(&self, _: &Context) -> Result<(), Failure> {
        Ok(())
    }

    fn after(&self, (): (), ctx: &Context, outcome: Result<(), &Failure>) {
        if ctx.kind() == Kind::Event && outcome.is_ok() {
            let line = format!("{} {} {}\n", ctx.handler(), ctx.id(), ctx.attempt());
            if let Err(error) = (&self.0).write_all(line.as_bytes()) {
                eprintln!("shop: the journal cannot be written: {error}");
            }
        }
    }
}
