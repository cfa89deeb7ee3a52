//! Deliveries that failed for good, kept with their reason, to be looked at and replayed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::Failure;
use crate::lineage::Lineage;
use crate::transport::{Dead, Queue, QueueKind, Resolver, Transport};

/// The dead letters of a bus.
///
/// In memory they live as long as the bus; a broker keeps those of durable queues until they are
/// replayed or dropped, and every process that links the listener can list them. Their payloads may
/// come from anywhere; listing is for people and tools, and takes each queue's dead letters whole.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// static IS_DOWN: AtomicBool = AtomicBool::new(true);
///
/// let bus = bus::Builder::new()
///     .retry(0, &[])
///     .register_listener("order_paid", |_cents: u32| {
///         if IS_DOWN.load(Ordering::Relaxed) { Err("the bank is down") } else { Ok(()) }
///     })
///     .build()?;
/// bus.fire_event("order_paid", 700).handled().wait()?;
///
/// let letters = bus.dead_letters().list()?;
/// assert_eq!(letters.len(), 1);
/// assert_eq!((letters[0].key(), letters[0].payload()), ("order_paid", "700"));
/// assert_eq!(letters[0].reason().message(), "the bank is down");
///
/// IS_DOWN.store(false, Ordering::Relaxed);
/// bus.dead_letters().replay(letters[0].id())?;
/// bus.settle();
/// assert!(bus.dead_letters().list()?.is_empty());
/// bus.shutdown()?;
/// # Ok::<(), bus::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct DeadLetters {
    bus: Bus,
}

/// A delivery that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    id: String,
    listener: String,
    exchange: String,
    key: String,
    reason: Failure,
    attempts: u32,
    payload: String,
    time: SystemTime,
}

impl DeadLetter {
    /// Identifies it: the id of the message and the listener. A replay that dies has the same id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The listener, or the command of a task, that it failed for.
    pub fn listener(&self) -> &str {
        &self.listener
    }

    /// The exchange that the event was fired on; empty for a task.
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// The routing key, or the command's name.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Why the last attempt failed.
    pub fn reason(&self) -> &Failure {
        &self.reason
    }

    /// How many attempts there were.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The payload as JSON; the error's text in angle brackets if it has no codec.
    pub fn payload(&self) -> &str {
        &self.payload
    }

    /// When it died.
    pub fn time(&self) -> SystemTime {
        self.time
    }
}

impl DeadLetters {
    pub(crate) fn new(bus: Bus) -> Self {
        Self { bus }
    }

    /// Every dead letter, oldest first.
    ///
    /// # Errors
    ///
    /// If the transport that keeps them cannot be reached; never in memory.
    pub fn list(&self) -> Result<Vec<DeadLetter>> {
        let mut letters: Vec<DeadLetter> =
            self.bus.graves().lock().letters.values().map(|(letter, _)| letter.clone()).collect();
        let Some(remote) = &self.bus.0.remote else { return Ok(letters) };
        for queue in remote.queues() {
            let listener = owner(&queue);
            let dead = remote.ask("dead letters are to be listed", |done| {
                remote.transport.dead_letters(&queue, done);
            })?;
            letters.extend(dead.into_iter().map(|dead| DeadLetter::elsewhere(listener, dead)));
        }
        letters.sort_by_key(DeadLetter::time);
        Ok(letters)
    }

    /// Asks the transport to do something with one that it keeps; whether it does keep it.
    fn elsewhere(
        &self,
        id: &str,
        request: impl Fn(&dyn Transport, &Queue, &str, Resolver<bool>),
    ) -> Result<bool> {
        let Some(remote) = &self.bus.0.remote else { return Ok(false) };
        for queue in remote.queues() {
            let message = id.strip_suffix(owner(&queue)).and_then(|id| id.strip_suffix('/'));
            let Some(message) = message else { continue };
            let found = remote.ask("a dead letter is to be found", |done| {
                request(&*remote.transport, &queue, message, done);
            })?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Delivers one again, to the listener that it failed for. Attempts are counted anew; the
    /// idempotency key stays.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none of this id; `Closed` after shutdown, and then it stays.
    pub fn replay(&self, id: &str) -> Result<()> {
        let taken = self.bus.graves().lock().take(|letter| letter.id == id);
        let Some((number, letter, delivery)) = taken else {
            let replayed = self.elsewhere(id, |transport, queue, message, done| {
                transport.replay(queue, message, done);
            })?;
            return if replayed { Ok(()) } else { Err(unknown(id)) };
        };
        self.bus.revive(delivery.clone()).inspect_err(|_| {
            self.bus.graves().lock().letters.insert(number, (letter, delivery));
        })
    }

    /// Delivers every one again, in order of their death; says how many.
    ///
    /// # Errors
    ///
    /// As [`replay`](Self::replay); those that were not replayed stay.
    pub fn replay_all(&self) -> Result<usize> {
        let letters = self.list()?;
        for letter in &letters {
            self.replay(&letter.id)?;
        }
        Ok(letters.len())
    }

    /// Gives one up for good.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none of this id.
    pub fn drop(&self, id: &str) -> Result<()> {
        let taken = self.bus.graves().lock().take(|letter| letter.id == id);
        let dropped = taken.is_some()
            || self.elsewhere(id, |transport, queue, message, done| {
                transport.discard(queue, message, done);
            })?;
        if dropped { Ok(()) } else { Err(unknown(id)) }
    }
}

fn unknown(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no dead letter `{id}`"))
}

/// Where a bus in memory keeps its dead letters.
#[derive(Default)]
pub(crate) struct Graves(Mutex<Yard>);

#[derive(Default)]
pub(crate) struct Yard {
    letters: BTreeMap<u64, (DeadLetter, Delivery)>,
    next: u64,
}

impl Graves {
    fn lock(&self) -> MutexGuard<'_, Yard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().letters.len()
    }

    /// Keeps one, with what it is delivered by again.
    pub(crate) fn bury(&self, letter: DeadLetter, delivery: Delivery) {
        let mut yard = self.lock();
        let number = yard.next;
        yard.next += 1;
        yard.letters.insert(number, (letter, delivery));
    }
}

impl DeadLetter {
    /// Of a delivery that fails for good now.
    pub(crate) fn of(bus: &Bus, delivery: &Delivery, reason: Failure) -> Self {
        let (exchange, key) = delivery.message.subject();
        let encode = AssertUnwindSafe(|| delivery.message.encode());
        let payload = match catch_unwind(encode) {
            Ok(Ok(body)) => String::from_utf8_lossy(&body).into_owned(),
            Ok(Err(error)) => format!("<{error}>"),
            Err(panic) => format!("<{}>", Failure::panic(panic)),
        };
        let head = delivery.message.head();
        Self {
            id: letter_id(&Lineage::of(bus, head).id(head.seq), &delivery.binding.name),
            listener: delivery.binding.name.to_string(),
            exchange: exchange.to_owned(),
            key: key.to_owned(),
            reason,
            attempts: delivery.attempt,
            payload,
            time: bus.clock().time(),
        }
    }

    /// One that a transport keeps for a listener or a task.
    fn elsewhere(listener: &str, dead: Dead) -> Self {
        let Dead { message, reason, time, .. } = dead;
        Self {
            id: letter_id(&message.id, listener),
            listener: listener.to_owned(),
            exchange: message.exchange,
            key: message.key,
            reason,
            attempts: message.attempt,
            payload: String::from_utf8_lossy(&message.body).into_owned(),
            time,
        }
    }
}

fn letter_id(message: &str, listener: &str) -> String {
    format!("{message}/{listener}")
}

/// The listener, or the command of a task, that a queue is for.
fn owner(queue: &Queue) -> &str {
    match queue.kind {
        QueueKind::Task => queue.name.strip_prefix("task.").unwrap_or(&queue.name),
        QueueKind::Listener | QueueKind::Broadcast => &queue.name,
    }
}

impl Yard {
    fn take(
        &mut self,
        wanted: impl Fn(&DeadLetter) -> bool,
    ) -> Option<(u64, DeadLetter, Delivery)> {
        let number = self
            .letters
            .iter()
            .find(|(_, (letter, _))| wanted(letter))
            .map(|(number, _)| *number)?;
        let (letter, delivery) = self.letters.remove(&number)?;
        Some((number, letter, delivery))
    }
}
