//! [`Link`]: a connection whose requests are waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use autobus_core::transport::{
    CallError, Completion, Confirm, Dead, Depth, Envelope, Queue, Resolver, Status, Subscription,
    Topology, Transport,
};
use autobus_core::{Error, Result};

use super::consumer::Consumer;
use super::harness::PATIENCE;

/// A connection to a broker. Its methods wait for the answer; those whose errors no case is about
/// panic at one.
#[derive(Debug)]
pub struct Link(Arc<dyn Transport>);

impl Link {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        Self(transport)
    }

    pub(super) fn into_transport(self) -> Arc<dyn Transport> {
        self.0
    }

    /// The transport, for requests that are not waited for.
    pub fn transport(&self) -> &dyn Transport {
        &*self.0
    }

    /// Makes a request and waits for its answer.
    ///
    /// # Errors
    ///
    /// Those of the request.
    ///
    /// # Panics
    ///
    /// If there is no answer within 30 s.
    #[track_caller]
    pub fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(&dyn Transport, Resolver<T>),
    ) -> Result<T> {
        let (resolver, completion) = Resolver::<T, Error>::pair();
        request(self.transport(), resolver);
        let answer = completion.wait(Some(Instant::now() + PATIENCE));
        answer.map(|answer| answer.unwrap_or_else(|| panic!("no answer within {PATIENCE:?}")))
    }

    /// Declares queues and their exchanges.
    #[track_caller]
    pub fn declare<'a>(&self, queues: impl IntoIterator<Item = &'a Queue>) {
        let topology = Topology::new([], queues.into_iter().cloned().collect());
        must(self.ask(|transport, done| transport.declare(topology, done)));
    }

    /// Publishes.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    #[track_caller]
    pub fn try_publish(&self, message: Envelope) -> Result<Confirm> {
        self.ask(|transport, done| transport.publish(message, done))
    }

    /// Publishes; tells whether it was routed.
    #[track_caller]
    pub fn publish(&self, message: Envelope) -> bool {
        must(self.try_publish(message)).routed
    }

    /// Puts a message into a queue.
    #[track_caller]
    pub fn enqueue(&self, queue: &Queue, message: Envelope) -> bool {
        must(self.ask(|transport, done| transport.enqueue(queue, message, done))).routed
    }

    /// Consumes a queue.
    #[track_caller]
    pub fn consume(&self, queue: &Queue, prefetch: u16) -> Consumer {
        Consumer::new(|sink| must(self.subscribe(queue, prefetch, sink)))
    }

    fn subscribe(
        &self,
        queue: &Queue,
        prefetch: u16,
        sink: autobus_core::transport::Sink,
    ) -> Result<Subscription> {
        self.ask(|transport, done| transport.consume(queue, prefetch, sink, done))
    }

    /// Serves a command.
    #[track_caller]
    pub fn serve(&self, command: &str, prefetch: u16) -> Consumer {
        Consumer::new(|sink| {
            must(self.ask(|transport, done| transport.serve(command, prefetch, sink, done)))
        })
    }

    /// Calls a command; the answer is awaited later.
    pub fn call(
        &self,
        command: &str,
        message: Envelope,
        timeout: Duration,
    ) -> Completion<Envelope, CallError> {
        let (resolver, completion) = Resolver::pair();
        self.0.call(command, message, timeout, resolver);
        completion
    }

    /// The dead letters of a queue.
    #[track_caller]
    pub fn dead_letters(&self, queue: &Queue) -> Vec<Dead> {
        must(self.ask(|transport, done| transport.dead_letters(queue, done)))
    }

    /// Puts a dead letter back.
    #[track_caller]
    pub fn replay(&self, queue: &Queue, id: &str) -> bool {
        must(self.ask(|transport, done| transport.replay(queue, id, done)))
    }

    /// Drops a dead letter.
    #[track_caller]
    pub fn discard(&self, queue: &Queue, id: &str) -> bool {
        must(self.ask(|transport, done| transport.discard(queue, id, done)))
    }

    /// What waits in a queue.
    #[track_caller]
    pub fn depth(&self, queue: &Queue) -> Depth {
        must(self.ask(|transport, done| transport.depth(queue, done)))
    }

    /// Whether it is connected.
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// Closes within 10 s.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    #[track_caller]
    pub fn close(&self) -> Result<()> {
        self.close_within(Duration::from_secs(10))
    }

    /// Closes.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    #[track_caller]
    pub fn close_within(&self, limit: Duration) -> Result<()> {
        self.ask(|transport, done| transport.close(Instant::now() + limit, done))
    }
}

/// The answer to a call.
///
/// # Errors
///
/// Those of the call.
#[track_caller]
pub(super) fn answer(completion: Completion<Envelope, CallError>) -> Result<Envelope, CallError> {
    let answer = completion.wait(Some(Instant::now() + PATIENCE));
    answer.map(|answer| answer.unwrap_or_else(|| panic!("no answer within {PATIENCE:?}")))
}

#[track_caller]
fn must<T>(answer: Result<T>) -> T {
    answer.unwrap_or_else(|error| panic!("{error}"))
}
