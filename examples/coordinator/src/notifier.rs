//! Posts alerts to a webhook. What cannot be posted is tried again, and is a dead letter at last.

use bus::prelude::*;

use crate::contracts::Alert;

/// Where alerts go.
#[derive(Debug, Clone, Default)]
pub struct Webhook(pub Option<String>);

impl Webhook {
    /// What `WEBHOOK_URL` says; without it alerts are written to the log.
    pub fn from_env() -> Self {
        Self(std::env::var("WEBHOOK_URL").ok().filter(|url| !url.is_empty()))
    }
}

/// How long a webhook may take, in seconds; it holds up nobody but further alerts.
const LIMIT: u64 = 10;

#[listener(Alert::EVENT, queue = "notifier", retry = 4, backoff = ["1s", "5s", "30s", "2m"])]
fn post(alert: &Alert, ctx: &Context, webhook: State<Webhook>) -> Result<(), String> {
    let Some(url) = &webhook.0 else {
        tracing::warn!(message = alert.message, about = ?alert.about, "alert");
        return Ok(());
    };
    let text = format!("{}: {}", alert.message, alert.about.join("; "));
    let posted = minreq::post(url)
        .with_timeout(LIMIT)
        .with_header("Content-Type", "application/json")
        // The same on every attempt, so that whoever hears it twice can tell.
        .with_header("Idempotency-Key", ctx.idempotency_key())
        .with_body(serde_json::json!({ "text": text }).to_string())
        .send()
        .map_err(|error| format!("the webhook cannot be reached: {error}"))?;
    match posted.status_code {
        200..300 => Ok(()),
        code => Err(format!("the webhook answered {code}")),
    }
}
