//! Audit: records everything that happens to orders, whatever it carries.

use std::collections::BTreeMap;

use bus::prelude::*;

/// How many events of each key were fired.
#[derive(Default)]
pub struct Journal {
    records: BTreeMap<String, u64>,
}

#[service]
impl Journal {
    /// Asks for no payload, so nothing is decoded, and events that are yet to be invented are
    /// recorded too.
    #[listener("order.#", exchange = "order")]
    fn record(&mut self, ctx: &Context) {
        *self.records.entry(ctx.key().to_owned()).or_default() += 1;
    }

    #[command]
    fn recorded(&self) -> BTreeMap<String, u64> {
        self.records.clone()
    }
}
