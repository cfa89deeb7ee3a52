//! A virtual host for one peer, with its exchange and queue.

use autobus_testkit::{Broker, Vhost};
use serde_json::json;

/// The type of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueType {
    /// Replicated, by Raft.
    Quorum,
    /// On one node.
    Classic,
}

impl QueueType {
    /// As the broker calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Classic => "classic",
        }
    }
}

/// Where one peer publishes and consumes.
#[derive(Debug)]
pub struct Site {
    vhost: Vhost,
    kind: QueueType,
}

impl Site {
    /// The exchange that is published to.
    pub const EXCHANGE: &str = "bench";
    /// The key that is published with.
    pub const KEY: &str = "order.v1.submit";
    /// The queue that is consumed from.
    pub const QUEUE: &str = "consumer.take";

    /// An empty virtual host.
    pub fn new(broker: Broker, kind: QueueType) -> Self {
        Self { vhost: broker.vhost(), kind }
    }

    /// Declares exchange and queue, as a bus does by itself.
    pub fn declare(&self) {
        self.vhost.declare_exchange(Self::EXCHANGE, "topic");
        let arguments = match self.kind {
            QueueType::Quorum => json!({ "x-queue-type": "quorum" }),
            QueueType::Classic => {
                json!({ "x-queue-type": "classic", "x-queue-version": 2, "x-queue-mode": "lazy" })
            }
        };
        self.vhost.declare_queue(Self::QUEUE, &arguments);
        self.vhost.bind(Self::EXCHANGE, Self::QUEUE, Self::KEY);
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.vhost.url()
    }

    /// Its URL, for a bus.
    pub fn bus_url(&self) -> String {
        format!("{}?queue_type={}", self.vhost.url(), self.kind.name())
    }

    /// The port of the broker.
    pub fn port(&self) -> u16 {
        self.vhost.broker().port()
    }

    /// The name of the virtual host.
    pub fn name(&self) -> &str {
        self.vhost.name()
    }

    /// How many messages wait in the queue.
    pub fn waiting(&self) -> u64 {
        self.vhost.depth(Self::QUEUE).map_or(0, |depth| depth.ready.into())
    }
}
