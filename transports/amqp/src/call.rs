//! Calls, by way of
//! [direct reply-to](https://www.rabbitmq.com/docs/direct-reply-to): answers come back on the channel
//! on which the call was made, so that a lost channel is a lost way back, and nothing is left at the
//! broker.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use autobus_core::transport::{CallError, Envelope, Resolver};
use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::connection::{Link, Open};
use crate::error::{self, code, short};
use crate::lane::{Event, Lane, Parcel};
use crate::window::{Address, Fate, Publishable, Window};
use crate::wire::{self, Outcome, Received, Site};

/// How often it is asked whether the servers of long calls are still there. The queue of a command
/// ends with its last server, and the calls in it end without a word.
const WATCH: Duration = Duration::from_secs(1);

/// A call to make.
pub(crate) struct Call {
    pub(crate) command: String,
    pub(crate) message: Envelope,
    pub(crate) deadline: Instant,
    pub(crate) done: Resolver<Envelope, CallError>,
}

/// What is published of a call.
struct Request {
    token: u64,
    /// The queue of the command.
    queue: String,
    message: Envelope,
}

impl Publishable for Request {
    fn message(&self) -> &Envelope {
        &self.message
    }

    fn is_for(&self, exchange: &str, key: &str) -> bool {
        exchange.is_empty() && self.queue == key
    }
}

/// Who waits for the answer.
struct Waiting {
    command: String,
    deadline: Instant,
    sent: Instant,
    /// The broker has it in a queue.
    confirmed: bool,
    done: Resolver<Envelope, CallError>,
}

/// The calls that were sent.
#[derive(Default)]
struct Calls {
    waiting: HashMap<u64, Waiting>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// In the order of sending, from the first that may still be waiting.
    order: VecDeque<(Instant, u64)>,
    /// When the servers were last looked for.
    watched: Option<Instant>,
    next: u64,
}

impl Calls {
    fn send(&mut self, lane: &Lane, window: &mut Window<Request>, call: Call) {
        let Call { command, message, deadline, done } = call;
        let now = Instant::now();
        if deadline <= now {
            return done.resolve(Err(CallError::Unsent(
                "its time was over before it was sent".to_owned(),
            )));
        }
        let queue = format!("command.{command}");
        if let Err(error) = short("the name of a queue", &queue) {
            return done.resolve(Err(CallError::Unsent(error.to_string())));
        }
        let token = self.next;
        self.next += 1;
        let request = Rc::new(Request { token, queue, message });
        let address = Address { exchange: "", key: &request.queue, mandatory: true };
        window.send(lane, request.clone(), address, |out| {
            wire::call(out, &request.message, &token.to_string(), deadline - now);
        });
        self.deadlines.insert((deadline, token));
        self.order.push_back((now, token));
        self.waiting
            .insert(token, Waiting { command, deadline, sent: now, confirmed: false, done });
    }

    fn confirmed(&mut self, token: u64, fate: Fate) {
        match fate {
            Fate::Routed => {
                if let Some(call) = self.waiting.get_mut(&token) {
                    call.confirmed = true;
                }
            }
            Fate::Returned => self.resolve(token, Err(CallError::Unserved)),
            Fate::Refused => {
                self.resolve(token, Err(CallError::Unsent("the broker refused it".to_owned())));
            }
        }
    }

    fn resolve(&mut self, token: u64, result: Result<Envelope, CallError>) {
        if let Some(waiting) = self.waiting.remove(&token) {
            self.deadlines.remove(&(waiting.deadline, token));
            waiting.done.resolve(result);
        }
        while self.order.front().is_some_and(|(_, token)| !self.waiting.contains_key(token)) {
            self.order.pop_front();
        }
    }

    /// Those whose answer is of no more use.
    fn expire(&mut self, now: Instant) {
        while let Some((_, token)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.resolve(token, Err(CallError::Interrupted));
        }
    }

    fn interrupt(&mut self) {
        self.deadlines.clear();
        for (_, waiting) in self.waiting.drain() {
            waiting.done.resolve(Err(CallError::Interrupted));
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// When to look for servers: while a call takes long, from time to time.
    fn long(&self) -> Option<Instant> {
        let (sent, _) = self.order.front()?;
        Some(self.watched.map_or(*sent, |watched| watched.max(*sent)) + WATCH)
    }

    /// The commands of the calls that take long.
    fn commands(&self, now: Instant) -> BTreeSet<String> {
        let long = self.waiting.values().filter(|call| now - call.sent >= WATCH);
        long.map(|call| call.command.clone()).collect()
    }

    /// The queues of these commands were gone at a time: with them, what was in them before.
    fn watched(&mut self, asked: Instant, gone: &[String]) {
        self.watched = Some(Instant::now());
        let lost =
            |call: &Waiting| call.confirmed && call.sent < asked && gone.contains(&call.command);
        let tokens: Vec<u64> =
            self.waiting.iter().filter(|(_, call)| lost(call)).map(|(token, _)| *token).collect();
        for token in tokens {
            self.resolve(token, Err(CallError::Interrupted));
        }
    }
}

/// Makes calls for as long as the transport lives.
pub(crate) struct Caller {
    queue: mpsc::UnboundedReceiver<Call>,
    /// Calls that are not sent yet: there is no connection, or the broker takes nothing.
    held: VecDeque<Call>,
    /// The first of their deadlines, or one before it.
    held_until: Option<Instant>,
    site: Site,
}

type Probe = Pin<Box<dyn Future<Output = (Instant, Vec<String>)>>>;

impl Caller {
    pub(crate) fn new(queue: mpsc::UnboundedReceiver<Call>, body_limit: usize) -> Self {
        let site = Site { prefix: "", body_limit };
        Self { queue, held: VecDeque::new(), held_until: None, site }
    }

    pub(crate) async fn run(mut self, mut link: Link) {
        while let Some(open) = self.wait(&mut link).await {
            let mut calls = Calls::default();
            // It ends when the channel does, for whatever reason.
            let ended = open.alive(self.session(&mut calls, &open, &mut link)).await;
            // What was sent may have run, and its answer cannot come.
            calls.interrupt();
            if let Some(Err(error)) = ended
                && open.is_up()
            {
                tracing::warn!(target: "autobus::amqp", error = error::text(&error), "the channel of calls ended; opening it again");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Waits for the connection.
    async fn wait(&mut self, link: &mut Link) -> Option<Rc<Open>> {
        loop {
            tokio::select! {
                biased;
                open = link.open() => return open,
                call = self.queue.recv() => self.hold(call?),
                () = at(self.held_until) => self.expire("there is no connection to the broker"),
            }
        }
    }

    async fn session(
        &mut self,
        calls: &mut Calls,
        open: &Rc<Open>,
        link: &mut Link,
    ) -> lapin::Result<()> {
        let (channel, lane) = open.confirming().await?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let replies = ("amq.rabbitmq.reply-to".into(), ShortString::default());
        // The answers themselves come another way; this tells when none come any more.
        let mut replies =
            channel.basic_consume(replies.0, replies.1, options, FieldTable::default()).await?;
        let mut window = Window::new();
        let mut blocked = open.blocked();
        let mut done = Vec::new();
        let mut probe: Option<Probe> = None;
        loop {
            let stuck = *blocked.borrow_and_update();
            while !stuck && let Some(call) = self.held.pop_front() {
                calls.send(&lane, &mut window, call);
            }
            let watched = calls.long().filter(|_| probe.is_none());
            tokio::select! {
                biased;
                event = lane.next() => {
                    let mut next = Some(event);
                    while let Some(event) = next.take() {
                        match event {
                            Event::Delivered(parcel) => self.reply(calls, parcel),
                            Event::Confirmed { tag, multiple, acked } => {
                                window.confirm(tag, multiple, acked);
                            }
                            Event::Returned(parcel) => window.returned(&parcel),
                            Event::Closed(error) => return Err(error),
                        }
                        next = lane.take();
                    }
                    window.drain(&mut done);
                    for (request, fate) in done.drain(..) {
                        calls.confirmed(request.token, fate);
                    }
                }
                call = self.queue.recv() => match call {
                    Some(call) => self.hold(call),
                    None => return Ok(()),
                },
                () = at(self.held_until) => self.expire("the broker takes nothing for now"),
                () = at(calls.next_deadline()) => calls.expire(Instant::now()),
                () = at(watched) => probe = Some(Box::pin(gone(open.clone(), calls.commands(Instant::now())))),
                (asked, gone) = probed(&mut probe) => {
                    probe = None;
                    calls.watched(asked, &gone);
                }
                _ = blocked.changed() => {}
                _ = replies.next() => return Ok(()),
                () = link.lost(open) => return Ok(()),
            }
        }
    }

    fn hold(&mut self, call: Call) {
        let until = self.held_until.map_or(call.deadline, |until| until.min(call.deadline));
        self.held_until = Some(until);
        self.held.push_back(call);
    }

    /// Gives up what nobody waits for any more.
    fn expire(&mut self, why: &str) {
        let now = Instant::now();
        let (late, held) =
            std::mem::take(&mut self.held).into_iter().partition(|call| call.deadline <= now);
        self.held = held;
        self.held_until = self.held.iter().map(|call| call.deadline).min();
        let late: VecDeque<Call> = late;
        for call in late {
            call.done.resolve(Err(CallError::Unsent(why.to_owned())));
        }
    }

    fn reply(&self, calls: &mut Calls, parcel: Parcel) {
        let Received { message, fault, outcome, token, .. } = wire::read(parcel, &self.site);
        // What nobody waits for is of no use to anybody.
        let Some(token) = token else { return };
        let result = match (outcome, fault) {
            (Outcome::Answered, None) => Ok(message),
            (Outcome::Answered, Some(fault)) => {
                tracing::warn!(target: "autobus::amqp", %fault, "an answer was dropped");
                Err(CallError::Interrupted)
            }
            (Outcome::Interrupted, _) => Err(CallError::Interrupted),
            (Outcome::Unserved, _) => Err(CallError::Unserved),
        };
        calls.resolve(token, result);
    }
}

/// Of these commands, those whose queues are gone.
async fn gone(open: Rc<Open>, commands: BTreeSet<String>) -> (Instant, Vec<String>) {
    let asked = Instant::now();
    let mut gone = Vec::new();
    for command in commands {
        let Ok(channel) = open.channel().await else { break };
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let Ok(queue) = short("the name of a queue", &format!("command.{command}")) else {
            continue;
        };
        match channel.queue_declare(queue, options, FieldTable::default()).await {
            // The channel is of no more use to anybody.
            Ok(_) => drop(channel.close(200, ShortString::default()).await),
            Err(error) if error::reply_code(&error) == Some(code::NOT_FOUND) => gone.push(command),
            Err(_) => {}
        }
    }
    (asked, gone)
}

async fn probed(probe: &mut Option<Probe>) -> (Instant, Vec<String>) {
    match probe {
        Some(probe) => probe.await,
        None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
