//! Layers: authorisation, metrics and tracing around every handler, and not a word of them in any.
//!
//! The layer that is given first is the outermost: here the spans cover all, and the metrics count
//! what is refused as well.
//!
//! ```text
//! cargo run --example layers
//! ```

mod authorisation;
mod metrics;
mod spans;

use authorisation::Authorisation;
use metrics::Metrics;

mod accounts {
    use bus::prelude::*;

    #[event(exchange = "account", key = "account.opened")]
    pub(crate) struct Opened {
        pub(crate) owner: String,
    }

    #[command]
    fn open(owner: &str) {
        tracing::info!("opening the account of {owner}");
        Opened { owner: owner.to_owned() }.fire();
    }

    #[command]
    fn close(owner: &str) {
        println!("closing the account of {owner}");
    }
}

mod letters {
    use bus::prelude::*;

    #[listener(retry = 0)]
    async fn welcome(opened: crate::accounts::Opened) -> Result<(), String> {
        tracing::info!("writing to {}", opened.owner);
        if opened.owner == "bob" { Err("bob has no address".to_owned()) } else { Ok(()) }
    }
}

fn main() -> bus::Result<()> {
    spans::print();
    let metrics = Metrics::default();
    let bus = bus::builder()
        .layer(bus::TracingLayer)
        .layer(metrics.clone())
        .layer(Authorisation { refused: &["accounts.close"] })
        .start()?;

    accounts::open::execute("alice").wait()?;
    accounts::open::execute("bob").wait()?;
    if let Err(error) = accounts::close::execute("alice").wait() {
        println!("alice's account stays open: {error}");
    }
    bus.settle();
    print!("{metrics}");
    bus.shutdown()
}
