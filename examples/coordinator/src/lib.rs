//! A coordinator of modules with one duty each, which meet on the bus and nowhere else.
//!
//! Each module knows [`contracts`] and no other. See the README beside this file.

pub mod contracts;
pub mod coordinator;
pub mod http;
pub mod notifier;
pub mod state;
pub mod tasks;
pub mod validation;

use crate::contracts::Unavailable;
use crate::http::Address;
use crate::notifier::Webhook;

/// The program, as the environment wants it: `STATE_URL`, `WEBHOOK_URL`, `HTTP_ADDR`.
///
/// # Errors
///
/// If `STATE_URL` names nothing that keeps a state.
pub fn app() -> Result<bus::Builder, Unavailable> {
    let url = std::env::var("STATE_URL").ok();
    let store = state::open(url.as_deref())?;
    Ok(bus::builder().state(store).state(Webhook::from_env()).state(Address::from_env()))
}
