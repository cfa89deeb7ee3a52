//! What a transport hands to a bus, and how the bus settles it.

use std::sync::Arc;
use std::time::Duration;

use crate::envelope::Envelope;
use crate::failure::Failure;

/// Takes what a consumer receives: called by the transport, in the order of the queue, one call at a
/// time for each consumer. It never blocks.
pub type Sink = Arc<dyn Fn(Incoming) + Send + Sync>;

/// A message that a consumer received.
#[derive(Debug)]
pub struct Incoming {
    /// The message; [`attempt`](Envelope::attempt) and [`lost`](Envelope::lost) are up to date.
    pub message: Arc<Envelope>,
    /// How it is settled.
    pub acker: Acker,
}

/// Settles one message, once. Dropping it hands the message back to its queue, so that nothing is
/// lost whatever happens to whoever held it.
#[derive(Debug)]
pub struct Acker {
    settler: Option<Arc<dyn Settle>>,
    tag: u64,
}

impl Acker {
    /// Settles the message that `settler` knows by `tag`.
    pub fn new(settler: Arc<dyn Settle>, tag: u64) -> Self {
        Self { settler: Some(settler), tag }
    }

    /// Settles the message.
    pub fn settle(mut self, how: Settlement) {
        if let Some(settler) = self.settler.take() {
            settler.settle(self.tag, how);
        }
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        if let Some(settler) = self.settler.take() {
            settler.settle(self.tag, Settlement::GiveBack);
        }
    }
}

/// What becomes of a message that was received.
#[derive(Debug)]
#[non_exhaustive]
pub enum Settlement {
    /// It is handled, and gone.
    Ack,
    /// It comes back to the same queue, and to no other, as the attempt of this number, after this
    /// while or a longer one: brokers have fixed rungs. It blocks nothing meanwhile. It is gone from
    /// the queue only once the broker has confirmed its copy.
    Retry {
        /// At least this long.
        after: Duration,
        /// The number of the next attempt.
        attempt: u32,
    },
    /// It is kept among the dead letters of its queue. It is gone from the queue only once the
    /// broker has confirmed its copy.
    Dead {
        /// Why.
        reason: Failure,
        /// How many attempts there were.
        attempts: u32,
    },
    /// The answer of a command; it goes to who asked, and the call is gone.
    Reply(Box<Envelope>),
    /// Nobody has tried it: it goes back to its queue, for whoever takes it next, and no attempt is
    /// counted. It is in its old place, if the broker can do that.
    GiveBack,
    /// A call that did not start, of a server that is about to end: once it has, the call goes to
    /// another one; without one, who called is told that nobody serves the command. For what is no call it
    /// is as [`GiveBack`](Self::GiveBack).
    PassOn,
}

/// The part of a transport that settles messages.
pub trait Settle: std::fmt::Debug + Send + Sync {
    /// Settles the message of this tag; never blocks, and never fails: what cannot be settled, since
    /// the connection is gone, the broker delivers again.
    ///
    /// Settlements may come from any thread and in any order. They are done in the background;
    /// [`close`](super::Transport::close) waits for them.
    fn settle(&self, tag: u64, how: Settlement);
}
