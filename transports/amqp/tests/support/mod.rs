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

/// A publisher that knows nothing of what is proper: AMQP 0-9-1 by hand.
pub(crate) struct Raw(std::net::TcpStream);

impl Raw {
    pub(crate) fn connect(port: u16, vhost: &str) -> Self {
        let mut raw = Self(std::net::TcpStream::connect(("127.0.0.1", port)).expect("connected"));
        raw.send(b"AMQP\x00\x00\x09\x01");
        raw.until((10, 10));
        let plain = b"\0guest\0guest";
        raw.method(
            0,
            (10, 11),
            &[&[0; 4][..], &short(b"PLAIN"), &long(plain), &short(b"en_US")].concat(),
        );
        let tune = raw.until((10, 30));
        raw.method(0, (10, 31), &tune);
        raw.method(0, (10, 40), &[&short(vhost.as_bytes())[..], &[0, 0]].concat());
        raw.until((10, 41));
        raw.method(1, (20, 10), &[0]);
        raw.until((20, 11));
        raw
    }

    /// Publishes into a queue and waits until the broker has it.
    ///
    /// `flags` and `properties` are as in AMQP 0-9-1, section 4.2.6.1.
    pub(crate) fn publish(&mut self, queue: &[u8], flags: u16, properties: &[u8], body: &[u8]) {
        self.method(1, (60, 40), &[&[0, 0, 0][..], &short(queue), &[0]].concat());
        let size = (body.len() as u64).to_be_bytes();
        let header = [&[0, 60, 0, 0][..], &size, &flags.to_be_bytes(), properties].concat();
        self.frame(2, 1, &header);
        for chunk in body.chunks(100_000) {
            self.frame(3, 1, chunk);
        }
        // Whatever is answered on the same channel is answered after it.
        self.method(1, (60, 10), &[0, 0, 0, 0, 0, 1, 0]);
        self.until((60, 11));
    }

    fn method(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) {
        let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
        self.frame(1, channel, &payload);
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let size = u32::try_from(payload.len()).expect("a size").to_be_bytes();
        self.send(&[&[kind][..], &channel.to_be_bytes(), &size, payload, &[0xCE]].concat());
    }

    fn send(&mut self, bytes: &[u8]) {
        std::io::Write::write_all(&mut self.0, bytes).expect("sent");
    }

    /// Reads until a method comes, and gives its arguments.
    fn until(&mut self, wanted: (u16, u16)) -> Vec<u8> {
        loop {
            let mut head = [0; 7];
            std::io::Read::read_exact(&mut self.0, &mut head).expect("a frame");
            let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
            let mut payload = vec![0; size as usize + 1];
            std::io::Read::read_exact(&mut self.0, &mut payload).expect("a payload");
            payload.pop();
            let got = |at| u16::from_be_bytes([payload[at], payload[at + 1]]);
            if head[0] == 1 && (got(0), got(2)) == wanted {
                return payload.split_off(4);
            }
            assert!(
                head[0] != 1 || got(2) != 40 && got(2) != 50,
                "closed: {:?}",
                String::from_utf8_lossy(&payload)
            );
        }
    }
}

pub(crate) fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).expect("short")], text].concat()
}

pub(crate) fn long(content: &[u8]) -> Vec<u8> {
    [&u32::try_from(content.len()).expect("long").to_be_bytes(), content].concat()
}
