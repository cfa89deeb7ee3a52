//! [`Harness`]: how the broker of one transport is reached and broken; that of each transport here.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use autobus_core::Clock;
use autobus_core::transport::{Connector, Options, Transport};
use serde_json::Value;

use crate::rabbitmq::{Rabbit, Vhost};

/// The broker of one case.
pub trait Harness: 'static {
    /// An empty broker, of which nobody else knows.
    fn fresh() -> Self
    where
        Self: Sized;

    /// What it can do for a case.
    fn meets() -> &'static [Need]
    where
        Self: Sized;

    /// Where the broker is.
    fn url(&self) -> String;

    /// The clock by which its retries and timeouts go. One that stands still is moved as far as a case
    /// has to wait.
    fn clock(&self) -> Clock {
        Clock::system()
    }

    /// Connects, or panics.
    fn connect(&self, options: &Options) -> Arc<dyn Transport> {
        connect(&self.url(), options)
    }

    /// Ends a connection as the death of its process would: nothing more is settled.
    fn lose(&self, connection: Arc<dyn Transport>) {
        drop(connection);
    }

    /// Cuts every connection, which may come back: [`Need::Cuts`].
    fn cut(&self) {
        unreachable!("this transport is not cut")
    }

    /// Publishes a message as a program that knows nothing of Autobus: [`Need::Foreign`].
    fn publish(&self, message: &Foreign) {
        unreachable!("nobody else publishes {message:?} here")
    }
}

/// What not every transport or harness can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Programs that know nothing of Autobus publish as well.
    Foreign,
    /// Connections are cut, and come back.
    Cuts,
    /// What is given back keeps its place in its queue. Where giving back counts as losing, a transport
    /// may rather put it at the end.
    GivesBackInPlace,
}

/// A message of a program that knows nothing of Autobus.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// The exchange on which it is published.
    pub exchange: String,
    /// The routing key.
    pub key: String,
    /// The properties of AMQP 0-9-1 (section 1.8.3), such as `content_type` and `headers`.
    pub properties: Value,
    /// The body.
    pub body: String,
}

impl Foreign {
    /// One without any property.
    pub fn new(exchange: &str, key: &str, body: impl Into<String>) -> Self {
        let (exchange, key) = (exchange.to_owned(), key.to_owned());
        let properties = Value::Object(serde_json::Map::new());
        Self { exchange, key, properties, body: body.into() }
    }
}

/// The broker in the process, in virtual time.
pub struct Memory {
    url: String,
    clock: Clock,
    /// The broker lives as long as somebody is connected.
    _kept: Arc<dyn Transport>,
}

impl Harness for Memory {
    fn fresh() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (url, clock) = (format!("memory:conformance.{number}"), Clock::manual());
        let kept = connect(&url, &Options::new("kept", clock.clone()));
        Self { url, clock, _kept: kept }
    }

    fn meets() -> &'static [Need] {
        &[Need::GivesBackInPlace]
    }

    fn url(&self) -> String {
        self.url.clone()
    }

    fn clock(&self) -> Clock {
        self.clock.clone()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Memory").field(&self.url).finish()
    }
}

/// A virtual host of the node that all tests share. The test target links the transport:
/// `use autobus_amqp as _;`.
#[derive(Debug)]
pub struct RabbitMq(Vhost);

impl Harness for RabbitMq {
    fn fresh() -> Self {
        Self(Rabbit::shared().vhost())
    }

    fn meets() -> &'static [Need] {
        &[Need::Foreign, Need::Cuts]
    }

    fn url(&self) -> String {
        self.0.url()
    }

    fn cut(&self) {
        // The node learns a little late of those that have just come.
        crate::poll_until("connections to cut", || {
            let open = self.0.connections();
            for connection in &open {
                self.0.close_connection(connection);
            }
            (!open.is_empty()).then_some(())
        });
    }

    fn publish(&self, message: &Foreign) {
        let Foreign { exchange, key, properties, body } = message;
        self.0.publish_with(exchange, key, body, properties);
    }
}

/// Connects by the scheme of a URL, or panics.
fn connect(url: &str, options: &Options) -> Arc<dyn Transport> {
    let scheme = url.split(':').next().unwrap_or_default();
    let mut known = inventory::iter::<Connector>.into_iter();
    let connector = known.find(|known| known.schemes.contains(&scheme));
    let connector = connector.unwrap_or_else(|| panic!("no transport for `{scheme}:` is linked"));
    let connected = (connector.connect)(url, options);
    connected.unwrap_or_else(|error| panic!("cannot connect to the broker: {error}"))
}

/// How long a case waits for what must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
