//! The publisher: one channel, on which everything is published in the order in which it was asked
//! for, with a window of unconfirmed messages. What the connection loses on the way is published
//! again, in order, on the next one; it may be there twice.

use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use autobus_core::Error;
use autobus_core::transport::{Confirm, Envelope, Resolver};
use lapin::types::ShortString;
use tokio::sync::mpsc;

use crate::config::QueueType;
use crate::connection::{Link, Open};
use crate::error::{self, code};
use crate::gauge::{Busy, Gauge};
use crate::lane::{Event, Lane};
use crate::topology::{Place, Refused, declare_exchange};
use crate::window::{Address, Fate, Publishable, Window};
use crate::wire::{self, Caller, Outcome, Stamp};

/// The most messages in flight; RabbitMQ confirms in batches, and a thousand keeps it busy.
const WINDOW: usize = 1_000;
/// The most bytes in flight, beside a single message.
const WINDOW_BYTES: usize = 16 << 20;
/// How often a message is refused before it is given up, with a wait of up to 2 s before each.
const MOST_REFUSALS: u32 = 20;

/// A message to publish.
pub(crate) struct Outgoing {
    pub(crate) message: Arc<Envelope>,
    /// What it has other than the message.
    pub(crate) stamp: Option<Stamp>,
    pub(crate) to: To,
    pub(crate) done: Done,
    pub(crate) busy: Busy,
}

/// Where a message goes.
pub(crate) enum To {
    /// To the exchange that it names.
    Exchange,
    /// Into one queue.
    Place(Place),
    /// Into the queue of a command: the call of another, for another server.
    Command(String, Caller),
    /// To whoever called.
    Caller(Caller, Outcome),
}

/// Who is told.
pub(crate) enum Done {
    User(Resolver<Confirm>),
    Own(Box<dyn FnOnce(Result<Confirm, Error>) + Send>),
}

impl Done {
    fn tell(self, result: Result<Confirm, Error>) {
        match self {
            Self::User(resolver) => resolver.resolve(result),
            Self::Own(done) => done(result),
        }
    }
}

impl Publishable for Outgoing {
    fn message(&self) -> &Envelope {
        &self.message
    }

    fn is_for(&self, exchange: &str, key: &str) -> bool {
        match &self.to {
            To::Exchange => self.message.exchange == exchange && self.message.key == key,
            To::Place(place) => exchange.is_empty() && place.name() == key,
            To::Command(queue, _) => exchange.is_empty() && queue == key,
            To::Caller(caller, _) => exchange.is_empty() && caller.reply_to == key,
        }
    }
}

/// Where messages are handed in, in order, from any thread.
#[derive(Clone)]
pub(crate) struct Publisher {
    queue: mpsc::UnboundedSender<Outgoing>,
    gauge: Gauge,
}

impl Publisher {
    pub(crate) fn new(queue: mpsc::UnboundedSender<Outgoing>, gauge: Gauge) -> Self {
        Self { queue, gauge }
    }

    /// What is on its way.
    pub(crate) fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    pub(crate) fn send(&self, message: Arc<Envelope>, stamp: Option<Stamp>, to: To, done: Done) {
        let busy = self.gauge.busy();
        // After the end of the publisher, whoever waits is told by the drop.
        let _ = self.queue.send(Outgoing { message, stamp, to, done, busy });
    }
}

/// How a session on one channel ended.
enum End {
    /// The connection is gone.
    Lost,
    /// The broker closed the channel for one of those in flight.
    Suspicious(lapin::Error),
    /// Some were refused, and come first on the next channel.
    Refused,
}

/// Publishes for as long as the transport lives.
pub(crate) async fn run(
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
    mut link: Link,
    kind: QueueType,
) {
    let mut run = Run {
        backlog: VecDeque::new(),
        careful: 0,
        refusals: 0,
        missing: false,
        unrouted: HashSet::new(),
        kind,
    };
    while let Some(open) = link.open().await {
        match run.session(&open, &mut link, &mut queue).await {
            End::Lost => link.recover(&open).await,
            // One at a time, the one that the broker does not take shows.
            End::Suspicious(error) => run.suspect(&error),
            End::Refused => {
                run.refusals += 1;
                let bound = (50_u64 << run.refusals.min(6)).min(2_000);
                tokio::time::sleep(Duration::from_millis(fastrand::u64(bound / 2..=bound))).await;
            }
        }
    }
}

struct Run {
    /// What is to be published before anything from the queue.
    backlog: VecDeque<Rc<Outgoing>>,
    /// How many of the backlog are published one by one.
    careful: usize,
    /// How many channels in a row have refused something.
    refusals: u32,
    /// Whether an exchange was missing, and nothing was confirmed since.
    missing: bool,
    /// The addresses that were warned of.
    unrouted: HashSet<(String, String)>,
    kind: QueueType,
}

impl Run {
    async fn session(
        &mut self,
        open: &Rc<Open>,
        link: &mut Link,
        queue: &mut mpsc::UnboundedReceiver<Outgoing>,
    ) -> End {
        // The channel is the client's, and there as long as this is.
        let Some(Ok((_channel, lane))) = open.alive(open.confirming()).await else {
            return End::Lost;
        };
        let mut window = Window::new();
        let mut sure = HashSet::new();
        let (mut batch, mut done) = (Vec::new(), Vec::new());
        let mut refused = Vec::new();
        let end = 'session: loop {
            while refused.is_empty() && self.room(&window) > 0 {
                let Some(next) = self.backlog.pop_front() else { break };
                if let Err(end) = self.send(open, &lane, &mut window, &mut sure, next).await {
                    break 'session end;
                }
            }
            let room = self.room(&window);
            if !refused.is_empty() && window.is_empty() {
                break End::Refused;
            }
            let take = refused.is_empty() && self.backlog.is_empty() && room > 0;
            tokio::select! {
                biased;
                event = lane.next() => {
                    let mut next = Some(event);
                    // All that is there: most of it is confirmed at once.
                    while let Some(event) = next.take() {
                        match event {
                            Event::Confirmed { tag, multiple, acked } => {
                                window.confirm(tag, multiple, acked);
                            }
                            Event::Returned(parcel) => window.returned(&parcel),
                            Event::Closed(error) if error::is_refusal(&error) => {
                                break 'session End::Suspicious(error);
                            }
                            Event::Closed(_) => break 'session End::Lost,
                            // Nothing is consumed here.
                            Event::Delivered(_) => {}
                        }
                        next = lane.take();
                    }
                    window.drain(&mut done);
                    self.settle(&mut done, &mut sure, &mut refused);
                }
                taken = queue.recv_many(&mut batch, room), if take => {
                    if taken == 0 {
                        // The transport is gone, and this task with it.
                        std::future::pending::<()>().await;
                    }
                    self.backlog.extend(batch.drain(..).map(Rc::new));
                }
                () = link.lost(open) => break End::Lost,
            }
        };
        // In order: what was refused came before what is in flight, and that before the rest.
        let again: Vec<_> = refused.into_iter().chain(window.abandon()).collect();
        if let End::Suspicious(_) = end {
            self.careful = again.len();
        }
        for outgoing in again.into_iter().rev() {
            self.backlog.push_front(outgoing);
        }
        end
    }

    /// How many more may be sent now.
    fn room(&self, window: &Window<Outgoing>) -> usize {
        if self.careful == 0 && window.bytes() < WINDOW_BYTES {
            WINDOW.saturating_sub(window.len())
        } else {
            usize::from(window.is_empty())
        }
    }

    /// Publishes, and makes sure before that there is something to publish to.
    async fn send(
        &mut self,
        open: &Rc<Open>,
        lane: &Lane,
        window: &mut Window<Outgoing>,
        sure: &mut HashSet<String>,
        outgoing: Rc<Outgoing>,
    ) -> Result<(), End> {
        let ensured = self.ensure(open, sure, &outgoing.to, &outgoing.message);
        match open.alive(ensured).await {
            Some(Ok(())) => {}
            Some(Err(Refused::For(error))) => {
                self.careful = self.careful.saturating_sub(1);
                tell(outgoing, Err(error));
                return Ok(());
            }
            Some(Err(Refused::Lost(_))) | None => {
                self.backlog.push_front(outgoing);
                return Err(End::Lost);
            }
        }
        let Outgoing { message, stamp, to, .. } = &*outgoing;
        let place;
        let (exchange, key, mandatory) = match to {
            To::Exchange => (message.exchange.as_str(), message.key.as_str(), true),
            To::Place(to) => {
                place = to.name();
                ("", place.as_str(), true)
            }
            To::Command(queue, _) => ("", queue.as_str(), true),
            To::Caller(caller, _) => ("", caller.reply_to.as_str(), false),
        };
        if let Err(error) = fit(exchange, key) {
            tell(outgoing, Err(error));
            return Ok(());
        }
        let address = Address { exchange, key, mandatory };
        window.send(lane, outgoing.clone(), address, |out| match to {
            To::Exchange => wire::message(out, message, stamp.as_ref(), false),
            To::Place(_) => wire::message(out, message, stamp.as_ref(), true),
            To::Command(_, caller) => wire::call_again(out, message, caller),
            To::Caller(caller, outcome) => wire::reply(out, message, *outcome, caller),
        });
        Ok(())
    }

    /// Declares what was not used on this connection before.
    async fn ensure(
        &self,
        open: &Rc<Open>,
        sure: &mut HashSet<String>,
        to: &To,
        message: &Envelope,
    ) -> Result<(), Refused> {
        let (name, place) = match to {
            To::Exchange if sure.contains(message.exchange.as_str()) => return Ok(()),
            To::Exchange => (message.exchange.clone(), None),
            To::Place(place) => (format!("queue {}", place.name()), Some(place)),
            To::Command(..) | To::Caller(..) => return Ok(()),
        };
        if sure.contains(&name) {
            return Ok(());
        }
        let channel = open.channel().await.map_err(Refused::Lost)?;
        match place {
            None => declare_exchange(&channel, &name).await?,
            Some(place) => place.declare(&channel, self.kind).await?,
        }
        // The channel is of no more use to anybody.
        let _ = channel.close(200, ShortString::default()).await;
        sure.insert(name);
        Ok(())
    }

    /// Tells of what is confirmed, and keeps what is to be published again.
    fn settle(
        &mut self,
        done: &mut Vec<(Rc<Outgoing>, Fate)>,
        sure: &mut HashSet<String>,
        refused: &mut Vec<Rc<Outgoing>>,
    ) {
        for (outgoing, fate) in done.drain(..) {
            match (fate, &outgoing.to) {
                (Fate::Refused, _) | (Fate::Returned, To::Place(_))
                    if self.refusals >= MOST_REFUSALS =>
                {
                    let what =
                        "the broker refused it each time; is a queue full, or without a leader?";
                    tell(outgoing, Err(Error::transport(what)));
                }
                // A channel that was refused something while a leader was elected is refused
                // everything, for ever: only another one helps.
                (Fate::Refused, _) => refused.push(outgoing),
                // The queue was deleted; it is declared again.
                (Fate::Returned, To::Place(place)) => {
                    sure.remove(&format!("queue {}", place.name()));
                    refused.push(outgoing);
                }
                (Fate::Returned, To::Exchange) => {
                    self.warn(&outgoing.message);
                    self.confirmed();
                    tell(outgoing, Ok(Confirm::new(false)));
                }
                (Fate::Returned, To::Command(..)) => {
                    self.confirmed();
                    tell(outgoing, Ok(Confirm::new(false)));
                }
                (Fate::Returned, To::Caller(..)) | (Fate::Routed, _) => {
                    self.confirmed();
                    tell(outgoing, Ok(Confirm::new(true)));
                }
            }
        }
    }

    fn confirmed(&mut self) {
        self.refusals = 0;
        self.missing = false;
        self.careful = self.careful.saturating_sub(1);
    }

    /// The broker closed the channel. If one alone was in flight, it is the one.
    fn suspect(&mut self, error: &lapin::Error) {
        if self.careful != 1 {
            return;
        }
        // An exchange was deleted: it is declared again, on each channel.
        if error::reply_code(error) == Some(code::NOT_FOUND)
            && !std::mem::replace(&mut self.missing, true)
        {
            return;
        }
        self.careful = 0;
        let Some(outgoing) = self.backlog.pop_front() else { return };
        let message = format!("the broker refuses it: {}", error::text(error));
        tell(outgoing, Err(Error::transport(message).with_source(error.clone())));
    }

    fn warn(&mut self, message: &Envelope) {
        let (exchange, key) = (&message.exchange, &message.key);
        // Keys may be made up by programs; there is an end to what is remembered of them.
        if self.unrouted.len() < 10_000 && self.unrouted.insert((exchange.clone(), key.clone())) {
            tracing::warn!(target: "autobus::amqp", %exchange, %key, "no queue is bound to this key; what is published with it is gone");
        }
    }
}

/// Whether names are as short as the broker demands.
fn fit(exchange: &str, key: &str) -> Result<(), Error> {
    if exchange.is_empty() {
        error::short("the name of a queue", key)?;
    } else {
        error::short("the name of an exchange", exchange)?;
        error::short("a routing key", key)?;
    }
    Ok(())
}

fn tell(outgoing: Rc<Outgoing>, result: Result<Confirm, Error>) {
    // Nobody else has it: the window gives each away once.
    if let Some(outgoing) = Rc::into_inner(outgoing) {
        outgoing.done.tell(result);
        drop(outgoing.busy);
    }
}
