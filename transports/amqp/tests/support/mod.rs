//! What the tests of the transport share: connecting, and consumers whose deliveries are awaited.

#![allow(dead_code, reason = "no test uses all of it")]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use autobus_amqp::AmqpTransport;
use autobus_core::transport::{
    Binding, Confirm, Dead, Depth, Envelope, Incoming, Options, Queue, Resolver, Settlement,
    Status, Subscription, Topology, Transport,
};
use autobus_core::{Clock, Error, Failure, Reason};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn options() -> Options {
    Options::new("autobus-test", Clock::system())
}

pub(crate) fn connect(url: &str) -> Bus {
    Bus(try_connect(url, &options()).expect("connected"))
}

pub(crate) fn try_connect(url: &str, options: &Options) -> Result<Arc<AmqpTransport>, Error> {
    AmqpTransport::connect(&url.parse()?, options)
}

/// A transport whose requests are waited for.
#[derive(Debug)]
pub(crate) struct Bus(pub(crate) Arc<AmqpTransport>);

/// Waits for the answer of a request.
pub(crate) fn wait<T: Send + 'static, E>(ask: impl FnOnce(Resolver<T, E>)) -> Result<T, E>
where
    E: autobus_core::transport::Abandoned + Send + 'static,
{
    let (resolver, completion) = Resolver::pair();
    ask(resolver);
    let deadline = Instant::now() + PATIENCE;
    completion.wait(Some(deadline)).map(|answer| answer.expect("an answer in time"))
}

impl Bus {
    pub(crate) fn declare(&self, queues: &[Queue]) -> Result<(), Error> {
        let topology = Topology::new(["order".to_owned()], queues.to_vec());
        wait(|done| self.0.declare(topology, done))
    }

    pub(crate) fn publish(&self, message: Envelope) -> Result<Confirm, Error> {
        wait(|done| self.0.publish(message, done))
    }

    pub(crate) fn enqueue(&self, queue: &Queue, message: Envelope) -> Result<Confirm, Error> {
        wait(|done| self.0.enqueue(queue, message, done))
    }

    pub(crate) fn consume(&self, queue: &Queue, prefetch: u16) -> Consumer {
        self.try_consume(queue, prefetch).expect("a consumer")
    }

    pub(crate) fn try_consume(&self, queue: &Queue, prefetch: u16) -> Result<Consumer, Error> {
        let (sender, deliveries) = channel();
        let sink = sink(sender);
        let subscription = wait(|done| self.0.consume(queue, prefetch, sink, done))?;
        Ok(Consumer { deliveries, subscription: Some(subscription) })
    }

    pub(crate) fn serve(&self, command: &str) -> Consumer {
        let (sender, deliveries) = channel();
        let sink = sink(sender);
        let subscription = wait(|done| self.0.serve(command, 16, sink, done)).expect("a server");
        Consumer { deliveries, subscription: Some(subscription) }
    }

    pub(crate) fn dead_letters(&self, queue: &Queue) -> Vec<Dead> {
        wait(|done| self.0.dead_letters(queue, done)).expect("dead letters")
    }

    /// Waits until there are so many dead letters.
    pub(crate) fn dead(&self, queue: &Queue, count: usize) -> Vec<Dead> {
        autobus_testkit::poll_until("the dead letters", || {
            Some(self.dead_letters(queue)).filter(|dead| dead.len() >= count)
        })
    }

    pub(crate) fn depth(&self, queue: &Queue) -> Depth {
        wait(|done| self.0.depth(queue, done)).expect("a depth")
    }

    /// Waits until the queue and those beside it are empty, and everything is acknowledged.
    pub(crate) fn close(&self) {
        let deadline = Instant::now() + PATIENCE;
        wait(|done| self.0.close(deadline, done)).expect("closed");
    }

    pub(crate) fn until(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        autobus_testkit::poll_until("the status", || Some(self.0.status()).filter(&wanted))
    }
}

fn sink(sender: Sender<Incoming>) -> Arc<dyn Fn(Incoming) + Send + Sync> {
    // Whoever no longer listens gives back.
    Arc::new(move |incoming| drop(sender.send(incoming)))
}

pub(crate) struct Consumer {
    pub(crate) deliveries: Receiver<Incoming>,
    pub(crate) subscription: Option<Subscription>,
}

impl Consumer {
    /// The next delivery.
    pub(crate) fn next(&self) -> Incoming {
        self.deliveries.recv_timeout(PATIENCE).expect("a delivery")
    }

    pub(crate) fn take(&self, count: usize) -> Vec<Incoming> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Whatever comes within a moment that is long for a broker; for asserting that nothing does.
    pub(crate) fn nothing(&self) {
        let moment = Duration::from_millis(300);
        if let Ok(incoming) = self.deliveries.recv_timeout(moment) {
            panic!("{:?} was delivered", incoming.message);
        }
    }
}

pub(crate) fn listener(name: &str, pattern: &str) -> Queue {
    Queue::listener(name, vec![Binding::new("order", pattern)])
}

/// An event with a number for its id and body.
pub(crate) fn event(n: usize) -> Envelope {
    let mut message = Envelope::new("order", "order.v1.submit", format!("{{\"n\":{n}}}").into());
    message.id = format!("id-{n}");
    message.content_type = Some(Envelope::JSON.to_owned());
    message
}

pub(crate) fn ack(incoming: Incoming) {
    incoming.acker.settle(Settlement::Ack);
}

pub(crate) fn retry(incoming: Incoming, after: Duration) {
    let attempt = incoming.message.attempt + 1;
    incoming.acker.settle(Settlement::Retry { after, attempt });
}

pub(crate) fn bury(incoming: Incoming, text: &str) {
    let attempts = incoming.message.attempt;
    let reason = Failure::of(Reason::Error, text);
    incoming.acker.settle(Settlement::Dead { reason, attempts });
}
