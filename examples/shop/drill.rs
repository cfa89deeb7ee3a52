//! What a fire drill needs: a journal of what was handled, and a message that kills its process.
//!
//! With `SHOP_DRILL=PATH` every handled delivery is a line of that file: the listener, the id of the
//! message, and which attempt it was. A line is one write, so it is there although the process is
//! killed right after. What the bus warns of goes to standard error, and a message with the header
//! `drill: abort` ends the process that handles it.

use std::fs::File;
use std::io::Write as _;

use bus::{Context, Failure, Kind, Layer};

/// Writes down what was handled, and dies when it is told to.
pub struct Drill(File);

impl Drill {
    /// The drill that `SHOP_DRILL` asks for, if it does.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn from_env() -> std::io::Result<Option<Self>> {
        let Some(path) = std::env::var_os("SHOP_DRILL") else { return Ok(None) };
        // What the bus warns of is a part of the drill.
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(std::io::stderr)
            .init();
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Some(Self(file)))
    }
}

impl Layer for Drill {
    type Attempt = ();

    fn before(&self, ctx: &Context) -> Result<(), Failure> {
        if ctx.headers().get("drill") == Some("abort") {
            std::process::abort();
        }
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
