use bus::prelude::*;

use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

#[command(
    "billing.invoice",
    service = "billing",
    timeout = "1m 30s",
    retry = 3,
    backoff = ["500ms", PATIENCE, Duration::from_secs(5)],
    retry_if = Problem::is_passing,
    concurrency = 8,
    unique
)]
async fn invoice(id: u32) -> Result<u32, Problem> {
    Ok(id)
}

#[command(local, inline, backoff = "1s", timeout = PATIENCE)]
fn callback(call: fn(&str) -> u32, boxed: Box<dyn Fn(&str) -> u32 + Send>) -> &'static str {
    let _ = call("a") + boxed("b");
    "done"
}

#[derive(Debug)]
struct Problem;

impl Problem {
    fn is_passing(&self) -> bool {
        true
    }
}

pub fn main() {
    let _ = invoice::execute(1);
    let _ = callback::execute(|_| 1, Box::new(|_| 2));
}
