//! Exchanges and queues at the broker. The arguments of a queue follow from its name, its kind and
//! the configuration, and never from a handler's options: a broker refuses to declare a queue again
//! with others.

use std::collections::BTreeSet;

use autobus_core::Error;
use autobus_core::transport::{Binding, Queue, QueueKind, Topology};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use crate::config::QueueType;
use crate::connection::Open;
use crate::error::{self, code, short, undeclared};
use crate::retry::{self, Rung};

/// The longest name of a queue, so that those beside it have short names too.
const LONGEST: usize = 240;

/// RabbitMQ 4 drops what a quorum queue has delivered 20 times, unless told otherwise. Here it is
/// counted how often a message was lost, and nothing is dropped.
const DELIVERY_LIMIT: i64 = i32::MAX as i64;

/// A queue that a publisher makes sure of before it puts something into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A queue of the topology.
    Main(Queue),
    /// Beside one, by its name.
    Rung(String, Rung),
    Suspect(String),
    Dead(String),
}

impl Place {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Main(queue) => queue.name.clone(),
            Self::Rung(queue, rung) => rung.of(queue),
            Self::Suspect(queue) => retry::suspect(queue),
            Self::Dead(queue) => retry::dead(queue),
        }
    }

    /// Declares it.
    pub(crate) async fn declare(&self, channel: &Channel, kind: QueueType) -> Result<(), Refused> {
        let arguments = match self {
            Self::Main(queue) => return declare_queue(channel, queue, kind).await,
            Self::Rung(queue, rung) => {
                let mut arguments = durable(kind);
                let ms = i64::try_from(rung.time().as_millis()).unwrap_or(i64::MAX);
                arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(ms));
                arguments.insert("x-dead-letter-exchange".into(), text(""));
                arguments.insert("x-dead-letter-routing-key".into(), text(queue));
                if kind == QueueType::Quorum {
                    // Without both, what comes back may be lost on the way.
                    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
                    arguments.insert("x-overflow".into(), text("reject-publish"));
                }
                arguments
            }
            Self::Suspect(_) | Self::Dead(_) => durable(kind),
        };
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        declare(channel, &self.name(), options, arguments).await
    }
}

/// Why something could not be declared.
pub(crate) enum Refused {
    /// The broker says no.
    For(Error),
    /// The connection or the channel is gone.
    Lost(lapin::Error),
}

impl Refused {
    pub(crate) fn new(what: &str, error: lapin::Error) -> Self {
        if error::is_refusal(&error) {
            Self::For(undeclared(what, &error))
        } else {
            Self::Lost(error)
        }
    }

    /// The same of the queue of a command. It goes with its last consumer, which may be between any two
    /// requests, and in the middle of one; then it is declared again.
    pub(crate) fn of_command(name: &str, error: lapin::Error) -> Self {
        if error::reply_code(&error) == Some(code::NOT_FOUND) {
            return Self::Lost(error);
        }
        Self::new(&format!("the queue `{name}`"), error)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::For(error)
    }
}

/// A queue with its bindings and their exchanges and, if it is durable, that of its dead letters.
pub(crate) async fn declare_queue(
    channel: &Channel,
    queue: &Queue,
    kind: QueueType,
) -> Result<(), Refused> {
    if queue.name.len() > LONGEST {
        let length = queue.name.len();
        let message = format!(
            "the queue `{}` has a name of {length} bytes; {LONGEST} is the most",
            queue.name
        );
        return Err(Error::transport(message).into());
    }
    let broadcast = matches!(queue.kind, QueueKind::Broadcast);
    let options = QueueDeclareOptions {
        durable: !broadcast,
        exclusive: broadcast,
        auto_delete: broadcast,
        ..QueueDeclareOptions::default()
    };
    let arguments = if broadcast { FieldTable::default() } else { durable(kind) };
    declare(channel, &queue.name, options, arguments).await?;
    if !broadcast {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        declare(channel, &retry::dead(&queue.name), options, durable(kind)).await?;
    }
    // A listener that comes while the bus runs may name an exchange that no topology had.
    let exchanges: BTreeSet<&str> =
        queue.bindings.iter().map(|binding| binding.exchange.as_str()).collect();
    for exchange in exchanges {
        declare_exchange(channel, exchange).await?;
    }
    for Binding { exchange, pattern, .. } in &queue.bindings {
        let what = format!("the binding of queue `{}` to exchange `{exchange}`", queue.name);
        let bound = channel.queue_bind(
            short("the name of a queue", &queue.name)?,
            short("the name of an exchange", exchange)?,
            short("a pattern", pattern)?,
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.map_err(|error| Refused::new(&what, error))?;
    }
    Ok(())
}

/// The queue of a command: gone with its last server.
pub(crate) async fn declare_command(channel: &Channel, name: &str) -> Result<(), Refused> {
    let options =
        QueueDeclareOptions { durable: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let queue = short("the name of a queue", name)?;
    let declared = channel.queue_declare(queue, options, FieldTable::default()).await;
    declared.map(drop).map_err(|error| Refused::of_command(name, error))
}

/// A durable topic exchange.
pub(crate) async fn declare_exchange(channel: &Channel, name: &str) -> Result<(), Refused> {
    if name.is_empty() {
        return Ok(());
    }
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let exchange = short("the name of an exchange", name)?;
    let declared =
        channel.exchange_declare(exchange, ExchangeKind::Topic, options, FieldTable::default());
    declared.await.map_err(|error| Refused::new(&format!("the exchange `{name}`"), error))
}

async fn declare(
    channel: &Channel,
    name: &str,
    options: QueueDeclareOptions,
    arguments: FieldTable,
) -> Result<(), Refused> {
    let queue = short("the name of a queue", name)?;
    let declared = channel.queue_declare(queue, options, arguments).await;
    declared.map(drop).map_err(|error| Refused::new(&format!("the queue `{name}`"), error))
}

/// The arguments of every durable queue.
fn durable(kind: QueueType) -> FieldTable {
    let mut arguments = FieldTable::default();
    let mut set = |name: &str, value| {
        arguments.insert(name.into(), value);
    };
    set("x-queue-type", text(kind.name()));
    match kind {
        QueueType::Quorum => set("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)),
        QueueType::Classic => {
            // The first version is slower, and gone from RabbitMQ 4.
            set("x-queue-version", AMQPValue::LongLongInt(2));
            // What waits is on the disk and not in the broker's memory. Since 3.12 it is so in any
            // case, and this is ignored: <https://www.rabbitmq.com/docs/lazy-queues>.
            set("x-queue-mode", text("lazy"));
        }
    }
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// Everything that was declared, to be declared again.
#[derive(Debug, Default)]
pub(crate) struct Known {
    exchanges: BTreeSet<String>,
    queues: Vec<Queue>,
}

impl Known {
    /// Adds what a topology has, and gives what is new.
    pub(crate) fn add(&mut self, topology: Topology) {
        self.exchanges.extend(topology.exchanges);
        for queue in topology.queues {
            match self.queues.iter_mut().find(|known| known.name == queue.name) {
                Some(known) => {
                    let missing =
                        queue.bindings.into_iter().filter(|new| !known.bindings.contains(new));
                    let missing: Vec<Binding> = missing.collect();
                    known.bindings.extend(missing);
                }
                None => self.queues.push(queue),
            }
        }
    }

    /// All of it that concerns the connection that publishes, or the other one.
    pub(crate) fn of(&self, broadcast: bool) -> (Vec<String>, Vec<Queue>) {
        let queues = self
            .queues
            .iter()
            .filter(|queue| matches!(queue.kind, QueueKind::Broadcast) == broadcast);
        (self.exchanges.iter().cloned().collect(), queues.cloned().collect())
    }
}

/// Declares exchanges and queues; an error of one does not keep the others from being declared.
/// Gives the first error, and fails if the connection does.
pub(crate) async fn declare_all(
    open: &Open,
    exchanges: &[String],
    queues: &[Queue],
    kind: QueueType,
) -> lapin::Result<Option<Error>> {
    let mut channel = open.channel().await?;
    let mut first = None;
    for exchange in exchanges {
        let result = declare_exchange(&channel, exchange).await;
        note(open, &mut channel, &mut first, result).await?;
    }
    for queue in queues {
        let result = declare_queue(&channel, queue, kind).await;
        note(open, &mut channel, &mut first, result).await?;
    }
    // The channel is of no more use to anybody.
    let _ = channel.close(200, ShortString::default()).await;
    Ok(first)
}

/// Keeps the first error, and replaces the channel, which every error closes.
async fn note(
    open: &Open,
    channel: &mut Channel,
    first: &mut Option<Error>,
    result: Result<(), Refused>,
) -> lapin::Result<()> {
    match result {
        Ok(()) => {}
        Err(Refused::For(error)) => {
            *channel = open.channel().await?;
            first.get_or_insert(error);
        }
        Err(Refused::Lost(error)) => return Err(error),
    }
    Ok(())
}
