//! [`Consumer`]: what a queue gives, one message after another.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use autobus_core::transport::{Acker, Envelope, Incoming, Settlement, Sink, Subscription};

use super::bench::Bench;
use super::harness::PATIENCE;

/// A consumer; what it receives waits until it is taken. Its drop ends it first and gives the rest
/// back afterwards.
#[derive(Debug)]
pub struct Consumer {
    subscription: Option<Subscription>,
    received: Receiver<Incoming>,
}

/// A message that was received and is not settled; dropping it gives it back.
#[derive(Debug)]
pub struct Held {
    /// The message.
    pub message: Arc<Envelope>,
    acker: Acker,
}

impl Consumer {
    pub(super) fn new(subscribe: impl FnOnce(Sink) -> Subscription) -> Self {
        let (sender, received) = channel();
        let sender = Mutex::new(sender);
        let sink: Sink = Arc::new(move |incoming| {
            if let Ok(sender) = sender.lock() {
                // What nobody takes any more is its connection's until that ends: given back, it would
                // come again at once, and for ever if a broken transport has not ended the consumer.
                if let Err(unwanted) = sender.send(incoming) {
                    std::mem::forget(unwanted);
                }
            }
        });
        Self { subscription: Some(subscribe(sink)), received }
    }

    /// The next message.
    ///
    /// # Panics
    ///
    /// If there is none within 30 s.
    #[track_caller]
    pub fn next(&self) -> Held {
        let Ok(incoming) = self.received.recv_timeout(PATIENCE) else {
            panic!("no message within {PATIENCE:?}")
        };
        Held::from(incoming)
    }

    /// The next message, while time passes at the broker.
    ///
    /// # Panics
    ///
    /// If there is none within 30 s.
    #[track_caller]
    pub fn later(&self, bench: &Bench) -> Held {
        bench.until("a message", || self.try_next())
    }

    /// A message that is here already.
    pub fn try_next(&self) -> Option<Held> {
        self.received.try_recv().ok().map(Held::from)
    }

    /// So many messages.
    #[track_caller]
    pub fn take(&self, count: usize) -> Vec<Held> {
        (0..count).map(|_| self.next()).collect()
    }

    /// The ids of all messages before the one of this id, which are all settled.
    #[track_caller]
    pub fn ids_until(&self, last: &str) -> Vec<String> {
        let mut ids = Vec::new();
        loop {
            let id = self.next().ack();
            if id == last {
                return ids;
            }
            ids.push(id);
        }
    }

    /// Ends it; what it has received stays with it.
    pub fn end(&mut self) {
        self.subscription = None;
    }
}

impl Held {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.message.id
    }

    /// Acknowledges it; gives its id.
    pub fn ack(self) -> String {
        let id = self.message.id.clone();
        self.settle(Settlement::Ack);
        id
    }

    /// Settles it.
    pub fn settle(self, how: Settlement) {
        self.acker.settle(how);
    }

    /// Tries it again.
    pub fn retry(self, after: Duration, attempt: u32) {
        self.settle(Settlement::Retry { after, attempt });
    }

    /// Answers a call.
    pub fn reply(self, answer: Envelope) {
        self.settle(Settlement::Reply(Box::new(answer)));
    }
}

impl From<Incoming> for Held {
    fn from(Incoming { message, acker, .. }: Incoming) -> Self {
        Self { message, acker }
    }
}
