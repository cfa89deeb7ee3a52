//! A consumer: one channel with its own prefetch, opened again after whatever happened to it.
//!
//! What arrives for the first time goes to the bus. What was delivered before and never settled is
//! suspected of killing its consumers: it is moved, counted, to a queue beside, from which one at a
//! time is taken.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use autobus_core::transport::{Acker, Envelope, Incoming, Queue, QueueKind, Settlement, Sink};
use autobus_core::{Error, Failure};
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::config::QueueType;
use crate::connection::{Link, Open};
use crate::error::{self, short};
use crate::gauge::{Busy, Gauge};
use crate::lull::{self, Lull};
use crate::publish::Publisher;
use crate::recent::Recent;
use crate::retry::{self, Rung};
use crate::settle::{Load, Order, Settler, nothing};
use crate::topology::{Place, Refused, declare_command, declare_queue};
use crate::unsettled::{Ack, Flush, Unsettled};
use crate::wire::{self, Outcome, Received, Site, Stamp};

/// How long an acknowledgement may wait for others to go with it.
const LINGER: Duration = Duration::from_millis(5);
/// The same, while nothing else is in flight.
const LINGER_IDLE: Duration = Duration::from_millis(1);
/// How many orders or deliveries are taken before the other kind has its turn.
const TURN: usize = 256;

/// What is consumed.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Queue(Queue),
    /// Those of a queue that were delivered and never settled.
    Suspects(Queue),
    /// The calls of a command.
    Command(String),
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::Queue(queue) => queue.name.clone(),
            Self::Suspects(queue) => retry::suspect(&queue.name),
            Self::Command(name) => format!("command.{name}"),
        }
    }

    /// The durable queue whose retries and dead letters these are; a broadcast has none.
    fn durable(&self) -> Option<&Queue> {
        match self {
            Self::Queue(queue) | Self::Suspects(queue)
                if !matches!(queue.kind, QueueKind::Broadcast) =>
            {
                Some(queue)
            }
            _ => None,
        }
    }

    fn prefix(&self) -> &'static str {
        match self {
            Self::Queue(Queue { kind: QueueKind::Task, .. })
            | Self::Suspects(Queue { kind: QueueKind::Task, .. }) => "task.",
            Self::Command(_) => "command.",
            _ => "",
        }
    }

    async fn declare(&self, channel: &Channel, kind: QueueType) -> Result<(), Refused> {
        match self {
            Self::Queue(queue) => {
                declare_queue(channel, queue, kind).await?;
                match self.durable() {
                    Some(queue) => Place::Suspect(queue.name.clone()).declare(channel, kind).await,
                    None => Ok(()),
                }
            }
            Self::Suspects(queue) => {
                Place::Suspect(queue.name.clone()).declare(channel, kind).await
            }
            Self::Command(_) => declare_command(channel, &self.name()).await,
        }
    }
}

/// What all consumers of a transport share.
pub(crate) struct Shared {
    pub(crate) link: Link,
    pub(crate) publisher: Publisher,
    pub(crate) gauge: Gauge,
    pub(crate) queue_type: QueueType,
    pub(crate) body_limit: usize,
}

/// A consumer, for as long as somebody wants it.
pub(crate) struct Task {
    shared: Rc<Shared>,
    source: Source,
    site: Site,
    prefetch: u16,
    sink: Sink,
    orders: mpsc::UnboundedReceiver<Order>,
    sender: mpsc::UnboundedSender<Order>,
    /// Who waits until it consumes.
    ready: Option<oneshot::Sender<Result<(), Error>>>,
    channels: u64,
    /// It takes no more, and goes once everything is settled.
    ending: bool,
    /// What it received, on whichever channel.
    recent: Recent,
}

/// A message that is with the bus.
struct Held {
    message: Arc<Envelope>,
    _busy: Busy,
}

/// One channel of a consumer.
struct Session {
    channel: Channel,
    settler: Arc<Settler>,
    number: u64,
    unsettled: Unsettled<Held>,
    /// Calls for another server, once this one has ended.
    passed_on: Vec<(u64, Arc<Envelope>)>,
    /// Settled, and the broker does not know yet.
    untold: Vec<Busy>,
    linger: Option<Instant>,
    /// How long it lingers while nothing else is in flight.
    linger_idle: Duration,
    batch: usize,
}

impl Task {
    pub(crate) fn new(
        shared: Rc<Shared>,
        source: Source,
        prefetch: u16,
        sink: Sink,
        ready: oneshot::Sender<Result<(), Error>>,
    ) -> (Self, mpsc::UnboundedSender<Order>) {
        let (sender, orders) = mpsc::unbounded_channel();
        let site = Site { prefix: source.prefix(), body_limit: shared.body_limit };
        let task = Self {
            shared,
            source,
            site,
            sink,
            orders,
            // Zero is no limit at all.
            prefetch: prefetch.max(1),
            sender: sender.clone(),
            ready: Some(ready),
            channels: 0,
            recent: Recent::new(2 * usize::from(prefetch.max(1))),
            ending: false,
        };
        (task, sender)
    }

    pub(crate) async fn run(mut self) {
        let mut link = self.shared.link.clone();
        let mut failures = 0_u32;
        while !self.ending {
            let open = tokio::select! {
                open = link.open() => open,
                () = self.ended() => return,
            };
            let Some(open) = open else { return };
            let begun = Instant::now();
            let reason = match open.alive(self.session(&open, &mut link)).await {
                Some(Ok(())) => return,
                Some(Err(Refused::For(error))) => match self.ready.take() {
                    Some(ready) => {
                        // Whoever asked may be gone.
                        let _ = ready.send(Err(error));
                        return;
                    }
                    None => error.to_string(),
                },
                Some(Err(Refused::Lost(error))) if open.is_up() => error::text(&error),
                Some(Err(Refused::Lost(_))) | None => {
                    link.recover(&open).await;
                    continue;
                }
            };
            failures = if begun.elapsed() > Duration::from_secs(5) { 0 } else { failures + 1 };
            let wait = Duration::from_millis(u64::from(failures.min(50)) * 100);
            tracing::warn!(target: "autobus::amqp", queue = self.source.name(), %reason, ?wait, "the consumer ended; starting it again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.ended() => return,
            }
        }
    }

    /// Waits until nobody wants it; without a channel, all other orders are void.
    async fn ended(&mut self) {
        while let Some(order) = self.orders.recv().await {
            if let Order::End = order {
                return;
            }
        }
    }

    async fn session(&mut self, open: &Rc<Open>, link: &mut Link) -> Result<(), Refused> {
        let lost = Refused::Lost;
        let channel = open.channel().await.map_err(lost)?;
        self.source.declare(&channel, self.shared.queue_type).await?;
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await.map_err(lost)?;
        let name = self.source.name();
        let options = BasicConsumeOptions::default();
        let accepted = channel.basic_consume(
            short("the name of a queue", &name)?,
            ShortString::default(),
            options,
            FieldTable::default(),
        );
        let refused = |error| Refused::new(&format!("the queue `{name}`"), error);
        let mut consumer = accepted.await.map_err(refused)?;
        if let Some(ready) = self.ready.take() {
            // Whoever asked may be gone; the end of the subscription tells.
            let _ = ready.send(Ok(()));
        }
        self.channels += 1;
        let settler = Settler::new(
            self.channels,
            self.sender.clone(),
            self.shared.gauge.clone(),
            self.shared.publisher.clone(),
        );
        let mut session = Session {
            channel,
            settler: Arc::new(settler),
            number: self.channels,
            unsettled: Unsettled::new(),
            passed_on: Vec::new(),
            untold: Vec::new(),
            linger: None,
            linger_idle: match self.source {
                // The answer is out, and whoever called has it.
                Source::Command(_) => LINGER,
                Source::Queue(_) | Source::Suspects(_) => LINGER_IDLE,
            },
            batch: usize::from(self.prefetch / 4).clamp(1, 256),
        };
        self.serve(&mut session, &mut consumer, open, link).await
    }

    async fn serve(
        &mut self,
        session: &mut Session,
        consumer: &mut Consumer,
        open: &Rc<Open>,
        link: &mut Link,
    ) -> Result<(), Refused> {
        let mut orders = Vec::new();
        let mut over = false;
        let mut lull = Lull::default();
        loop {
            if over && session.unsettled.is_idle() {
                session.flush(Flush::All).map_err(Refused::Lost)?;
                // It is the last that is done with the channel.
                let _ = session.channel.close(200, ShortString::default()).await;
                return Ok(());
            }
            let linger = session.linger;
            tokio::select! {
                biased;
                _ = self.orders.recv_many(&mut orders, TURN) => {
                    lull.end();
                    // It is known before anything is waited for, which may be for ever.
                    let ends = !self.ending && orders.iter().any(|order| matches!(order, Order::End));
                    self.ending |= ends;
                    for order in orders.drain(..) {
                        self.obey(session, order).await.map_err(Refused::Lost)?;
                    }
                    if ends {
                        // Once this is confirmed nothing arrives any more; but what of a quorum queue is on
                        // its way by then, of which the client tells nobody, and which comes again.
                        let cancel = BasicCancelOptions::default();
                        let cancelled = session.channel.basic_cancel(consumer.tag(), cancel);
                        cancelled.await.map_err(Refused::Lost)?;
                    }
                    if self.ending {
                        for (tag, message) in session.passed_on.drain(..) {
                            session.settler.pass_on(tag, &self.source.name(), message);
                        }
                    }
                    session.acknowledge(self.ending).map_err(Refused::Lost)?;
                }
                delivery = consumer.next(), if !over => {
                    lull.end();
                    let mut next = Some(delivery);
                    for _ in 0..TURN {
                        match next.take().or_else(|| consumer.next().now_or_never()) {
                            Some(Some(Ok(delivery))) => self.deliver(session, delivery)?,
                            Some(Some(Err(error))) => return Err(Refused::Lost(error)),
                            // All that it had is here; the rest is settling it.
                            Some(None) if self.ending => {
                                over = true;
                                break;
                            }
                            Some(None) => return Err(self.cancelled(open)),
                            None => break,
                        }
                    }
                }
                () = lull.wait(), if session.unsettled.open() >= lull::BUSY => {}
                () = at(linger) => session.flush(Flush::All).map_err(Refused::Lost)?,
                () = link.lost(open) => {
                    let aborted = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
                    return Err(Refused::Lost(aborted.into()));
                }
            }
        }
    }

    /// The broker ended the consumer: the queue was deleted, or moved to another node.
    fn cancelled(&self, open: &Rc<Open>) -> Refused {
        if open.is_up() {
            tracing::warn!(target: "autobus::amqp", queue = self.source.name(), "the queue was deleted at the broker while it was consumed; it is declared again");
        }
        Refused::Lost(std::io::Error::other("the broker cancelled the consumer").into())
    }

    async fn obey(&self, session: &mut Session, order: Order) -> lapin::Result<()> {
        match order {
            Order::End => {}
            // Of an earlier channel: the broker delivers it again.
            Order::Settle { channel, .. }
            | Order::Moved { channel, .. }
            | Order::Carry { channel, .. }
                if channel != session.number => {}
            Order::Moved { tag, busy, .. } => {
                session.unsettled.finish(tag);
                session.untold.push(busy);
            }
            Order::Carry { tag, load, .. } => session.settler.carry(tag, load),
            Order::Settle { tag, how, busy, .. } => {
                self.settle(session, tag, how).await?;
                session.untold.push(busy);
            }
        }
        Ok(())
    }

    async fn settle(&self, session: &mut Session, tag: u64, how: Settlement) -> lapin::Result<()> {
        if let Settlement::Ack = how {
            session.unsettled.finish(tag);
            return Ok(());
        }
        let Some(Held { message, .. }) = session.unsettled.take(tag) else { return Ok(()) };
        if let Source::Command(_) = self.source {
            match how {
                // Before it has ended, it would come to this one again.
                Settlement::PassOn => session.passed_on.push((tag, message)),
                // It may have run, and a call never runs twice.
                _ => session.settler.answer(tag, nothing(), Outcome::Interrupted),
            }
            return Ok(());
        }
        let Some(queue) = self.source.durable() else {
            match how {
                Settlement::GiveBack | Settlement::PassOn => {
                    session
                        .channel
                        .basic_nack(tag, BasicNackOptions { requeue: true, multiple: false })
                        .await?;
                    session.unsettled.forget(tag);
                }
                // A broadcast has neither rungs nor dead letters.
                _ => session.unsettled.finish(tag),
            }
            return Ok(());
        };
        let stamp = Stamp {
            attempt: message.attempt,
            lost: message.lost,
            rest: Duration::ZERO,
            death: None,
        };
        match how {
            Settlement::Retry { after, attempt } => {
                let (place, rest) = rung(queue, after);
                session.carry(tag, message, place, Stamp { attempt, rest, ..stamp });
            }
            Settlement::Dead { reason, attempts } => {
                self.bury(session, tag, message, reason, attempts);
            }
            // At the end of the queue: in front, it would come as one that was lost.
            _ => session.carry(tag, message, Place::Main(queue.clone()), stamp),
        }
        Ok(())
    }

    fn deliver(&mut self, session: &mut Session, delivery: Delivery) -> Result<(), Refused> {
        let (tag, redelivered) = (delivery.delivery_tag, delivery.redelivered);
        let Received { mut message, fault, rest, caller, .. } = wire::read(delivery, &self.site);
        message.redelivered = redelivered;
        // It came before, and this process did not die of it: the connection did.
        let survived = self.recent.note(&message.id);
        let message = Arc::new(message);
        let busy = self.shared.gauge.busy();
        if !session.unsettled.deliver(tag, Held { message: message.clone(), _busy: busy }) {
            // An acknowledgement of many would tell of it too. On another channel it comes again.
            return Err(Refused::Lost(std::io::Error::other("a delivery is missing").into()));
        }
        if let Source::Command(_) = self.source {
            if let Some(caller) = caller {
                session.settler.expect(tag, caller);
            }
            if redelivered || fault.is_some() {
                // It may have run, and a call never runs twice; or it is none that could run.
                session.unsettled.take(tag);
                session.settler.answer(tag, nothing(), Outcome::Interrupted);
                return Ok(());
            }
            if self.ending {
                session.unsettled.take(tag);
                session.settler.pass_on(tag, &self.source.name(), message);
                return Ok(());
            }
        } else if let Some(queue) = self.source.durable() {
            let stamp = Stamp { attempt: message.attempt, lost: message.lost, rest, death: None };
            let place = if let Some(fault) = fault {
                self.bury(session, tag, message.clone(), fault, message.attempt);
                return Ok(());
            } else if redelivered && !survived {
                let attempt = stamp.attempt.saturating_add(1);
                let lost = stamp.lost.saturating_add(1);
                Some((Place::Suspect(queue.name.clone()), Stamp { attempt, lost, ..stamp }))
            } else if !rest.is_zero() {
                let (place, rest) = rung(queue, rest);
                Some((place, Stamp { rest, ..stamp }))
            } else if self.ending {
                Some((Place::Main(queue.clone()), stamp))
            } else {
                None
            };
            if let Some((place, stamp)) = place {
                session.carry(tag, message, place, stamp);
                return Ok(());
            }
        }
        (self.sink)(Incoming { message, acker: Acker::new(session.settler.clone(), tag) });
        Ok(())
    }

    fn bury(
        &self,
        session: &mut Session,
        tag: u64,
        message: Arc<Envelope>,
        reason: Failure,
        attempts: u32,
    ) {
        let Some(queue) = self.source.durable() else { return };
        let stamp = Stamp {
            attempt: attempts,
            lost: message.lost,
            rest: Duration::ZERO,
            death: Some((reason, SystemTime::now())),
        };
        session.carry(tag, message, Place::Dead(queue.name.clone()), stamp);
    }
}

impl Session {
    /// Puts a copy into another queue; the message itself is settled once that is confirmed.
    fn carry(&mut self, tag: u64, message: Arc<Envelope>, place: Place, stamp: Stamp) {
        // From here on nobody else settles it.
        self.unsettled.take(tag);
        self.settler.carry(tag, Load { message, stamp, place });
    }

    /// Tells the broker what is worth telling now.
    fn acknowledge(&mut self, ending: bool) -> lapin::Result<()> {
        if self.unsettled.done() == 0 {
            self.untold.clear();
            return Ok(());
        }
        if ending {
            return self.flush(Flush::All);
        }
        if self.unsettled.done() >= self.batch {
            self.flush(Flush::InOrder)?;
        }
        if self.unsettled.done() > 0 {
            // With nothing in flight, what follows may still be on its way here.
            let linger = if self.unsettled.is_idle() { self.linger_idle } else { LINGER };
            let until = Instant::now() + linger;
            self.linger = Some(self.linger.map_or(until, |set| set.min(until)));
        }
        Ok(())
    }

    /// Tells the broker. It is on its way in order with all else on the channel, also with its end, so
    /// nobody waits until it is written.
    fn flush(&mut self, how: Flush) -> lapin::Result<()> {
        for ack in self.unsettled.flush(how) {
            let (tag, multiple) = match ack {
                Ack::UpTo(tag) => (tag, true),
                Ack::One(tag) => (tag, false),
            };
            let written = self.channel.basic_ack(tag, BasicAckOptions { multiple }).now_or_never();
            written.unwrap_or(Ok(()))?;
        }
        self.untold.truncate(self.unsettled.done());
        if self.unsettled.done() == 0 {
            self.linger = None;
        }
        Ok(())
    }
}

/// Where something waits for so long, and how long it waits once it is through.
fn rung(queue: &Queue, after: Duration) -> (Place, Duration) {
    match Rung::at_least(after) {
        Some((rung, rest)) => (Place::Rung(queue.name.clone(), rung), rest),
        None => (Place::Main(queue.clone()), Duration::ZERO),
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
