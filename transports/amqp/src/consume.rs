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
use futures_util::StreamExt as _;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::config::QueueType;
use crate::connection::{Link, Open};
use crate::error::{self, short};
use crate::gauge::Gauge;
use crate::lane::{Event, Parcel};
use crate::publish::Publisher;
use crate::recent::Recent;
use crate::retry::{self, Rung};
use crate::session::{Held, LINGER, LINGER_IDLE, Session};
use crate::settle::{Order, Settler, nothing};
use crate::topology::{Place, Refused, declare_command, declare_queue};
use crate::unsettled::Flush;
use crate::wire::{self, Outcome, Received, Site, Stamp};

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
    /// The channels on which something may still be delivered.
    pub(crate) consuming: Gauge,
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
    /// What it had on channels that it lost.
    recent: Recent,
    /// What is about to be given to the bus.
    incoming: Vec<Incoming>,
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
            recent: Recent::new(4 * usize::from(prefetch.max(1))),
            incoming: Vec::new(),
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
            let mut session = None;
            let ended = open.alive(self.session(&mut session, &open, &mut link)).await;
            if let Some(session) = session {
                self.remember(session);
            }
            let reason = match ended {
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

    /// What was delivered and not acknowledged, as far as the broker knows, comes again. Of what was
    /// acknowledged that is as much as the broker sends ahead, at most; of two with the same id, the one
    /// that was not is what counts.
    fn remember(&mut self, mut session: Session) {
        session.collect();
        let Session { told, unsettled, settler, .. } = session;
        for (id, known) in told {
            self.recent.note(id, known);
        }
        for (tag, held) in unsettled.into_rest() {
            let (id, known) = held.known(Some((settler.clone(), tag)));
            self.recent.note(id, known);
        }
    }

    async fn session(
        &mut self,
        session: &mut Option<Session>,
        open: &Rc<Open>,
        link: &mut Link,
    ) -> Result<(), Refused> {
        let lost = Refused::Lost;
        let taking = self.shared.consuming.busy();
        let channel = open.channel().await.map_err(lost)?;
        let lane = open.lane(&channel);
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
        let refused = |error| match self.source {
            Source::Command(_) => Refused::of_command(&name, error),
            Source::Queue(_) | Source::Suspects(_) => {
                Refused::new(&format!("the queue `{name}`"), error)
            }
        };
        let mut consumer = accepted.await.map_err(refused)?;
        if let Some(ready) = self.ready.take() {
            // Whoever asked may be gone; the end of the subscription tells.
            let _ = ready.send(Ok(()));
        }
        self.channels += 1;
        let batch = usize::from(self.prefetch / 4).clamp(1, 256);
        let settler =
            Settler::new(self.channels, self.sender.clone(), self.shared.publisher.clone(), batch);
        let linger = match self.source {
            // The answer is out, and whoever called has it.
            Source::Command(_) => LINGER,
            Source::Queue(_) | Source::Suspects(_) => LINGER_IDLE,
        };
        let new = Session::new(channel, lane, Arc::new(settler), self.channels, taking);
        let session = session.insert(new.sized(batch, self.prefetch.into(), linger));
        self.serve(session, &mut consumer, open, link).await
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
        loop {
            if over && session.unsettled.is_idle() {
                session.flush(Flush::All);
                // It is the last that is done with the channel.
                let _ = session.channel.close(200, ShortString::default()).await;
                return Ok(());
            }
            let linger = session.linger;
            tokio::select! {
                biased;
                _ = self.orders.recv_many(&mut orders, TURN) => {
                    // It is known before anything is waited for, which may be for ever.
                    let ends = !self.ending && orders.iter().any(|order| matches!(order, Order::End));
                    self.ending |= ends;
                    for order in orders.drain(..) {
                        self.obey(session, order);
                    }
                    if ends {
                        // Once this is confirmed nothing arrives any more; but what of a quorum queue is on
                        // its way by then, of which the client tells nobody, and which comes again.
                        let cancel = BasicCancelOptions::default();
                        let cancelled = session.channel.basic_cancel(consumer.tag(), cancel);
                        cancelled.await.map_err(Refused::Lost)?;
                        self.take_all(session, None, usize::MAX)?;
                        session.taking = None;
                    }
                    if self.ending {
                        for (tag, message) in session.passed_on.drain(..) {
                            session.settler.pass_on(tag, &self.source.name(), message);
                        }
                    }
                    session.acknowledge(self.ending);
                }
                event = session.lane.next() => {
                    self.take_all(session, Some(event), TURN)?;
                    session.acknowledge(self.ending);
                }
                // The deliveries came another way; here comes the end of them.
                end = consumer.next(), if !over => match end {
                    Some(Err(error)) => return Err(Refused::Lost(error)),
                    // All that it had is here; the rest is settling it.
                    None if self.ending => over = true,
                    None => return Err(self.cancelled(open)),
                    Some(Ok(_)) => {}
                },
                () = at(linger) => session.lingered(),
                () = link.lost(open) => {
                    let aborted = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
                    return Err(Refused::Lost(aborted.into()));
                }
            }
        }
    }

    /// Takes what came, up to so much, and gives it to the bus together: whoever is woken by the first
    /// finds the others.
    fn take_all(
        &mut self,
        session: &mut Session,
        first: Option<Event>,
        most: usize,
    ) -> Result<(), Refused> {
        let mut next = first.or_else(|| session.lane.take());
        let mut left = most;
        let mut taken = Ok(());
        while let Some(event) = next {
            taken = self.take(session, event);
            left -= 1;
            if taken.is_err() || left == 0 {
                break;
            }
            next = session.lane.take();
        }
        for incoming in self.incoming.drain(..) {
            (self.sink)(incoming);
        }
        taken
    }

    fn take(&mut self, session: &mut Session, event: Event) -> Result<(), Refused> {
        match event {
            Event::Delivered(parcel) => self.deliver(session, parcel),
            Event::Closed(error) => Err(Refused::Lost(error)),
            // Nothing is published here.
            Event::Returned(_) | Event::Confirmed { .. } => Ok(()),
        }
    }

    /// The broker ended the consumer: the queue was deleted, or moved to another node.
    fn cancelled(&self, open: &Rc<Open>) -> Refused {
        if open.is_up() {
            tracing::warn!(target: "autobus::amqp", queue = self.source.name(), "the queue was deleted at the broker while it was consumed; it is declared again");
        }
        Refused::Lost(std::io::Error::other("the broker cancelled the consumer").into())
    }

    fn obey(&self, session: &mut Session, order: Order) {
        match order {
            // It ends, or is looked at, in any case.
            Order::End | Order::Look => {}
            // Of an earlier channel: the broker delivers it again.
            Order::Settle { channel, .. }
            | Order::Moved { channel, .. }
            | Order::Carry { channel, .. }
                if channel != session.number => {}
            Order::Moved { tag, .. } => {
                session.unsettled.finish(tag);
            }
            Order::Carry { tag, load, .. } => session.settler.carry(tag, load),
            Order::Settle { tag, how, .. } => self.settle(session, tag, how),
        }
    }

    fn settle(&self, session: &mut Session, tag: u64, how: Settlement) {
        let Some(Held { message, .. }) = session.unsettled.take(tag) else { return };
        let message = message.clone();
        if let Source::Command(_) = self.source {
            match how {
                // Before it has ended, it would come to this one again.
                Settlement::PassOn => session.passed_on.push((tag, message)),
                // It may have run, and a call never runs twice.
                _ => session.settler.answer(tag, nothing(), Outcome::Interrupted),
            }
            return;
        }
        let Some(queue) = self.source.durable() else {
            match how {
                Settlement::GiveBack | Settlement::PassOn => {
                    session.lane.hand_back(tag);
                    session.unsettled.forget(tag);
                }
                // A broadcast has neither rungs nor dead letters.
                _ => drop(session.unsettled.finish(tag)),
            }
            return;
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
    }

    fn deliver(&mut self, session: &mut Session, parcel: Parcel) -> Result<(), Refused> {
        let (tag, redelivered) = (parcel.tag, parcel.redelivered);
        let Received { mut message, fault, rest, caller, unique, .. } =
            wire::read(parcel, &self.site);
        message.redelivered = redelivered;
        // It came before, and this process did not die of it: the connection did.
        let known = if redelivered { self.recent.look(&message.id) } else { None };
        let survived = known.is_some();
        let handled = unique && known.is_some_and(|known| known.is_handled(&message));
        let message = Arc::new(message);
        let busy = self.shared.gauge.busy();
        let held = Held::new(message.clone(), unique, handled, busy);
        if !session.unsettled.deliver(tag, held) {
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
        } else if handled {
            // The acknowledgement was lost, and nothing else.
            tracing::debug!(target: "autobus::amqp", queue = self.source.name(), id = message.id, "it came again after it was handled here, and is acknowledged again");
            session.unsettled.finish(tag);
            return Ok(());
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
        let acker = Acker::new(session.settler.clone(), tag);
        self.incoming.push(Incoming { message, acker });
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
