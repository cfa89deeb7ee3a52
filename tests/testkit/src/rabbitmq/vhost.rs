//! The virtual host of a test: a broker of its own, as far as names go.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{process, thread};

use serde_json::{Value, json};

use super::amqp::{self, Depth};
use super::broker::Broker;
use super::management::Management;
use super::management::Verb::{self, Delete, Get, Post, Put};
use crate::error::{Error, ErrorKind, OrPanic as _};

/// Seconds that a drop waits for a node that does not answer, such as one that is paused.
const DROP_PATIENCE: u64 = 3;

/// A virtual host, deleted on drop with everything in it.
///
/// Its methods act as an operator would, through the management API; they panic if the node refuses or
/// does not answer.
#[derive(Debug)]
pub struct Vhost {
    broker: Broker,
    name: String,
    owner: Owner,
}

/// Who deletes a virtual host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Owner {
    This,
    Other,
}

/// A queue, as the management API describes it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueueInfo {
    /// Its name.
    pub name: String,
    /// `classic`, `quorum` or `stream`.
    pub kind: String,
    /// It outlives a restart of the broker.
    pub durable: bool,
    /// It belongs to one connection.
    pub exclusive: bool,
    /// It is deleted after its last consumer.
    pub auto_delete: bool,
    /// The arguments that it was declared with, `x-…`.
    pub arguments: Value,
    /// All that the API says; counts in it are some seconds old.
    pub raw: Value,
}

/// A connection of a client, as the management API describes it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// Its name, by which it is closed.
    pub name: String,
    /// The name that the client gave it.
    pub client_name: Option<String>,
    /// The port of the client.
    pub peer_port: u16,
    /// All that the API says.
    pub raw: Value,
}

/// A message that was got from a queue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Message {
    /// The exchange to which it was published.
    pub exchange: String,
    /// Its routing key.
    pub routing_key: String,
    /// It was delivered before.
    pub redelivered: bool,
    /// Its properties, `headers` among them.
    pub properties: Value,
    /// Its body; what is not UTF-8 is in base64.
    pub body: String,
}

impl Vhost {
    pub(super) fn create(broker: Broker) -> Result<Self, Error> {
        let vhost = Self { broker, name: unique(), owner: Owner::This };
        vhost.ask(Put, &["vhosts", &vhost.name], Some(&json!({})))?;
        Ok(vhost)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node that it is on.
    pub fn broker(&self) -> Broker {
        self.broker
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.broker.url_for(&self.name)
    }

    /// The same virtual host on another node of its cluster. Its drop deletes nothing.
    #[must_use]
    pub fn on(&self, node: &Broker) -> Self {
        Self { broker: *node, name: self.name.clone(), owner: Owner::Other }
    }

    /// Its URL by way of another port of loopback, such as that of a [`Proxy`](crate::Proxy).
    pub fn url_via(&self, port: u16) -> String {
        Broker::new(port, self.broker.management_port()).url_for(&self.name)
    }

    /// Declares a durable queue with these arguments, such as `json!({"x-queue-type": "quorum"})`.
    #[track_caller]
    pub fn declare_queue(&self, queue: &str, arguments: &Value) {
        let body = json!({"durable": true, "auto_delete": false, "arguments": arguments});
        self.must(Put, &["queues", &self.name, queue], Some(&body));
    }

    /// Deletes a queue, whoever consumes from it.
    #[track_caller]
    pub fn delete_queue(&self, queue: &str) {
        self.must(Delete, &["queues", &self.name, queue], None);
    }

    /// Deletes the messages of a queue that are ready.
    #[track_caller]
    pub fn purge_queue(&self, queue: &str) {
        self.must(Delete, &["queues", &self.name, queue, "contents"], None);
    }

    /// Declares a durable exchange of a kind, such as `topic`.
    #[track_caller]
    pub fn declare_exchange(&self, exchange: &str, kind: &str) {
        let body = json!({"type": kind, "durable": true});
        self.must(Put, &["exchanges", &self.name, exchange], Some(&body));
    }

    /// The names of its exchanges, but for those of every virtual host.
    #[track_caller]
    pub fn exchanges(&self) -> Vec<String> {
        let exchanges = self.must(Get, &["exchanges", &self.name], None);
        let names = items(&exchanges).map(|exchange| text(&exchange["name"]));
        names.filter(|name| !name.is_empty() && !name.starts_with("amq.")).collect()
    }

    /// Deletes an exchange, with its bindings.
    #[track_caller]
    pub fn delete_exchange(&self, exchange: &str) {
        self.must(Delete, &["exchanges", &self.name, exchange], None);
    }

    /// Binds a queue to an exchange.
    #[track_caller]
    pub fn bind(&self, exchange: &str, queue: &str, pattern: &str) {
        let path = ["bindings", &self.name, "e", exchange, "q", queue];
        self.must(Post, &path, Some(&json!({"routing_key": pattern})));
    }

    /// The patterns by which a queue is bound to an exchange.
    #[track_caller]
    pub fn patterns(&self, exchange: &str, queue: &str) -> Vec<String> {
        let bindings = self.must(Get, &["bindings", &self.name, "e", exchange, "q", queue], None);
        items(&bindings).map(|binding| text(&binding["routing_key"])).collect()
    }

    /// A queue; `None` if there is none of that name.
    #[track_caller]
    pub fn queue(&self, queue: &str) -> Option<QueueInfo> {
        let found = self.ask(Get, &["queues", &self.name, queue], None);
        found.or_panic().map(QueueInfo::new)
    }

    /// Every queue.
    #[track_caller]
    pub fn queues(&self) -> Vec<QueueInfo> {
        items(&self.must(Get, &["queues", &self.name], None)).cloned().map(QueueInfo::new).collect()
    }

    /// How many messages are ready in a queue, and how many consumers it has, at this moment; `None`
    /// if there is none of that name.
    ///
    /// # Panics
    ///
    /// If the node does not answer; a queue that is another connection's own is refused.
    #[track_caller]
    pub fn depth(&self, queue: &str) -> Option<Depth> {
        let depth = amqp::depth(self.broker.addr(), &self.name, queue);
        let what = || format!("the depth of `{queue}`");
        depth.map_err(|error| Error::because(ErrorKind::Refused, what(), error)).or_panic()
    }

    /// Publishes a persistent message and waits until the broker has confirmed it; tells whether it
    /// was routed to any queue. The exchange `""` routes to the queue named by the key.
    #[track_caller]
    pub fn publish(&self, exchange: &str, routing_key: &str, body: &str) -> Routed {
        self.publish_with(exchange, routing_key, body, &json!({"delivery_mode": 2}))
    }

    /// Like [`publish`](Vhost::publish), with properties such as
    /// `json!({"content_type": "application/json", "headers": {}})`.
    #[track_caller]
    pub fn publish_with(
        &self,
        exchange: &str,
        routing_key: &str,
        body: &str,
        properties: &Value,
    ) -> Routed {
        // The API knows the default exchange by this name.
        let exchange = if exchange.is_empty() { "amq.default" } else { exchange };
        let message = json!({
            "routing_key": routing_key,
            "properties": properties,
            "payload": body,
            "payload_encoding": "string",
        });
        let path = ["exchanges", &self.name, exchange, "publish"];
        let answer = self.must(Post, &path, Some(&message));
        if answer["routed"] == true { Routed::Yes } else { Routed::No }
    }

    /// Takes at most this many messages from a queue and acknowledges them.
    #[track_caller]
    pub fn get(&self, queue: &str, count: usize) -> Vec<Message> {
        let wanted = json!({"count": count, "ackmode": "ack_requeue_false", "encoding": "auto"});
        let got = self.must(Post, &["queues", &self.name, queue, "get"], Some(&wanted));
        items(&got).map(Message::new).collect()
    }

    /// The connections of clients. One appears as soon as it is open; what it is named appears with
    /// it.
    #[track_caller]
    pub fn connections(&self) -> Vec<Connection> {
        let connections = self.must(Get, &["vhosts", &self.name, "connections"], None);
        items(&connections).map(Connection::new).collect()
    }

    /// Closes a connection, as an operator would.
    #[track_caller]
    pub fn close_connection(&self, connection: &Connection) {
        self.must(Delete, &["connections", &connection.name], None);
    }

    fn ask(&self, verb: Verb, path: &[&str], body: Option<&Value>) -> Result<Option<Value>, Error> {
        self.broker.management().ask(verb, path, body)
    }

    /// The answer about a thing that must exist.
    #[track_caller]
    fn must(&self, verb: Verb, path: &[&str], body: Option<&Value>) -> Value {
        match self.ask(verb, path, body).or_panic() {
            Some(answer) => answer,
            None => panic!("{verb:?} {}: there is no such thing", path.join("/")),
        }
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        if self.owner == Owner::Other {
            return;
        }
        let management = Management { patience: DROP_PATIENCE, ..self.broker.management() };
        // The node may be gone, and its virtual hosts with it.
        let _ = management.ask(Delete, &["vhosts", &self.name], None);
    }
}

/// Whether a message reached a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Routed {
    /// It is in one at least.
    Yes,
    /// No binding matched; the broker dropped it.
    No,
}

impl QueueInfo {
    fn new(raw: Value) -> Self {
        Self {
            name: text(&raw["name"]),
            kind: text(&raw["type"]),
            durable: raw["durable"] == true,
            exclusive: raw["exclusive"] == true,
            auto_delete: raw["auto_delete"] == true,
            arguments: raw["arguments"].clone(),
            raw,
        }
    }
}

impl Connection {
    fn new(raw: &Value) -> Self {
        let port = raw["peer_port"].as_u64().and_then(|port| u16::try_from(port).ok());
        Self {
            name: text(&raw["name"]),
            client_name: raw["client_properties"]["connection_name"].as_str().map(str::to_owned),
            peer_port: port.unwrap_or_default(),
            raw: raw.clone(),
        }
    }
}

impl Message {
    fn new(raw: &Value) -> Self {
        Self {
            exchange: text(&raw["exchange"]),
            routing_key: text(&raw["routing_key"]),
            redelivered: raw["redelivered"] == true,
            properties: raw["properties"].clone(),
            body: text(&raw["payload"]),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A name that tells which test it belongs to, and that no other process of the run chooses.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let thread = thread::current();
    let test: String = thread
        .name()
        .unwrap_or("test")
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() { char } else { '_' })
        .take(80)
        .collect();
    // A process may have the number of one whose virtual hosts were left behind.
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{test}-{}-{number}-{time:x}", process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_virtual_host_tells_its_test_and_is_unique() {
        let (one, two) = (unique(), unique());
        assert!(one.contains("the_name_of_a_virtual_host_tells"), "{one}");
        assert_ne!(one, two);
    }
}
