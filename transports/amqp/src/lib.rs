//! RabbitMQ for [Autobus](https://crates.io/crates/autobus). Depend on `autobus` with the feature
//! `amqp`, which shows this crate as `bus::amqp`: a bus whose URL begins with `amqp://` or `amqps://`
//! connects to the broker there.
//!
//! ```text
//! BUS_URL=amqp://billing:secret@rabbit/shop BUS_SERVICES=billing ./shop
//! ```
//!
//! [`AmqpConfig`] lists what a URL may say.
//!
//! # What is at the broker
//!
//! | Name | What | Properties |
//! |---|---|---|
//! | an exchange | where events are published | topic, durable |
//! | `{queue}` | of a listener, or of the tasks of a command: `task.{command}` | durable, quorum or classic |
//! | `{queue}.retry.{rung}` | where failed messages wait, from 100 ms to 1 h | durable; leads back to that queue alone |
//! | `{queue}.suspect` | what was delivered and never settled, tried one by one | durable |
//! | `{queue}.dead` | dead letters, with reason, attempts, time and origin in headers | durable |
//! | `command.{name}` | calls of a command | durable, classic, gone with its last server |
//! | of a broadcast | one for each process | exclusive |
//!
//! The properties of a queue depend on nothing but this table and `queue_type`. A queue or exchange
//! that exists with others is an error that names it.
//!
//! # What is promised
//!
//! - A message is published once the broker has confirmed it, and gone from a queue once it was
//!   acknowledged after its settlement; what is retried or kept as a dead letter is confirmed in its
//!   new queue first. It may come twice; but what a consumer has handled when it loses its connection,
//!   it does not handle again, if it is an event with an id and a source.
//! - A message that kills its consumer kills it alone: see `{queue}.suspect`.
//! - Whatever comes from elsewhere is read as far as it can be, and is a dead letter otherwise.
//! - Passwords are in no log, no error and no `Debug`.
//!
//! A handler that runs for longer than the broker's
//! [delivery acknowledgement timeout](https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout),
//! 30 minutes unless configured, loses its message, which is then delivered again.
//!
//! # What travels
//!
//! The body as it is; the attributes of CloudEvents as headers, `cloudEvents_id` and so on; a
//! `traceparent`; and of the properties of AMQP only those that say something else: `content-type`,
//! `delivery-mode`, `correlation-id` where something came before, and what a call needs for its answer.
//! What others send may have `message-id`, `timestamp`, `app-id` or `correlation-id` instead, or nothing.

mod call;
mod config;
mod connection;
mod consume;
mod dead;
mod error;
mod frame;
mod gauge;
mod health;
mod lane;
mod publish;
mod pump;
mod recent;
mod retry;
mod screen;
mod session;
mod settle;
mod socket;
mod thread;
mod topology;
mod transport;
mod unsettled;
mod window;
mod wire;

pub use self::config::{AmqpConfig, QueueType};
pub use self::transport::AmqpTransport;

use std::sync::Arc;

use autobus_core::Result;
use autobus_core::transport::{Connector, Options, Transport};

inventory::submit!(Connector::new(&["amqp", "amqps"], connect));

fn connect(url: &str, options: &Options) -> Result<Arc<dyn Transport>> {
    Ok(AmqpTransport::connect(&url.parse()?, options)?)
}
