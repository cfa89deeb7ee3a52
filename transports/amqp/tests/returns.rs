//! What is confirmed, what comes back and what is refused: against a broker of our own, since only that
//! says in which order.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use autobus_core::transport::{Envelope, Resolver, Transport as _};

use autobus_testkit::poll_until;

use support::{PATIENCE, connect, event, long, short};

/// A message as it was published: its exchange and key, each as a short text, its header and its body.
#[derive(Debug, Default)]
struct Published {
    channel: u16,
    address: Vec<u8>,
    header: Vec<u8>,
    body: Vec<u8>,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Taken,
    Returned,
    Refused,
    /// The connection is cut, and nothing was confirmed.
    Cut,
}

/// What becomes of the message of this number.
type Fates = Arc<dyn Fn(usize) -> Fate + Send + Sync>;

/// What the broker has received so far, also what was refused.
type Received = Arc<Mutex<Vec<Vec<u8>>>>;

/// Starts a broker that takes so many messages, returns some and confirms all of them at once, unless
/// it refuses one, and so on; gives its URL.
fn broker(batch: usize, fates: Fates) -> (String, Received) {
    let received = Received::default();
    let seen = received.clone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqp://{}?heartbeat=0", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (fates, received) = (fates.clone(), seen.clone());
            thread::spawn(move || {
                Session { stream: stream.unwrap(), batch, fates, received }.run();
            });
        }
    });
    (url, received)
}

/// One connection.
struct Session {
    stream: TcpStream,
    batch: usize,
    fates: Fates,
    received: Received,
}

impl Session {
    fn run(mut self) {
        let mut greeting = [0; 8];
        self.stream.read_exact(&mut greeting).unwrap();
        let start = [&[0, 9][..], &long(b""), &long(b"PLAIN"), &long(b"en_US")].concat();
        self.send(&method(0, (10, 10), &start));
        let mut published: Vec<Published> = Vec::new();
        let mut tags: HashMap<u16, u64> = HashMap::new();
        let mut number = 0;
        while let Some((kind, channel, payload)) = self.read() {
            match kind {
                1 => {
                    let field = |at| u16::from_be_bytes([payload[at], payload[at + 1]]);
                    if (field(0), field(2)) == (60, 40) {
                        let address = payload[6..payload.len() - 1].to_vec();
                        published.push(Published { channel, address, ..Published::default() });
                    } else if let Some(answer) = answer(channel, (field(0), field(2))) {
                        self.send(&answer);
                    }
                }
                2 => published.last_mut().unwrap().header = payload,
                3 => published.last_mut().unwrap().body = payload,
                _ => {}
            }
            if kind == 3 {
                self.received.lock().unwrap().push(published.last().unwrap().body.clone());
            }
            if kind == 3 && published.len() == self.batch {
                let mut bytes = Vec::new();
                for (at, one) in published.drain(..).enumerate() {
                    let fate = (self.fates)(number + at);
                    if fate == Fate::Cut {
                        return;
                    }
                    let tag = tags.entry(one.channel).or_default();
                    *tag += 1;
                    if fate == Fate::Returned {
                        let reason = [&[1, 56][..], &short(b"NO_ROUTE"), &one.address].concat();
                        bytes.extend(method(one.channel, (60, 50), &reason));
                        bytes.extend(frame(2, one.channel, &one.header));
                        bytes.extend(frame(3, one.channel, &one.body));
                    }
                    if fate == Fate::Refused {
                        let this = [&tag.to_be_bytes()[..], &[0]].concat();
                        bytes.extend(method(one.channel, (60, 120), &this));
                    } else if at + 1 == self.batch {
                        let all = [&tag.to_be_bytes()[..], &[1]].concat();
                        bytes.extend(method(one.channel, (60, 80), &all));
                    }
                }
                number += self.batch;
                self.send(&bytes);
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        // Whoever has closed hears no more.
        let _ = self.stream.write_all(bytes);
    }

    /// A frame; none at the end.
    fn read(&mut self) -> Option<(u8, u16, Vec<u8>)> {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).ok()?;
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; size as usize + 1];
        self.stream.read_exact(&mut payload).ok()?;
        payload.pop();
        Some((head[0], u16::from_be_bytes([head[1], head[2]]), payload))
    }
}

/// What a method is answered.
fn answer(channel: u16, asked: (u16, u16)) -> Option<Vec<u8>> {
    let (done, arguments) = match asked {
        // connection.start-ok: tune.
        (10, 11) => ((10, 30), [&[7, 255][..], &131_072_u32.to_be_bytes(), &[0, 0]].concat()),
        (10, 40) => ((10, 41), short(b"")),
        (10, 50) => ((10, 51), vec![]),
        (20, 10) => ((20, 11), long(b"")),
        (20, 40) => ((20, 41), vec![]),
        (40, 10) => ((40, 11), vec![]),
        (60, 20) => ((60, 21), short(b"consumer")),
        (85, 10) => ((85, 11), vec![]),
        _ => return None,
    };
    Some(method(channel, done, &arguments))
}

fn method(channel: u16, (class, method): (u16, u16), arguments: &[u8]) -> Vec<u8> {
    let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
    frame(1, channel, &payload)
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind][..], &channel.to_be_bytes(), &size, payload, &[0xCE]].concat()
}

/// Publishes messages in batches, of which so many are confirmed at once, and compares which of them
/// are told to be routed.
fn told(
    (batch, confirmed): (usize, usize),
    messages: Vec<Envelope>,
    returns: impl Fn(usize) -> bool + Send + Sync + 'static,
) {
    let returns = Arc::new(returns);
    let told = returns.clone();
    let fates = move |n| if told(n) { Fate::Returned } else { Fate::Taken };
    let bus = connect(&broker(confirmed, Arc::new(fates)).0);
    let mut numbered = messages.into_iter().enumerate();
    loop {
        let (sender, confirms) = channel();
        let mut count = 0;
        for (n, message) in numbered.by_ref().take(batch) {
            let sender = sender.clone();
            bus.0.publish(message, Resolver::new(move |done| drop(sender.send((n, done)))));
            count += 1;
        }
        if count == 0 {
            break;
        }
        for _ in 0..count {
            let (n, confirm) = confirms.recv_timeout(PATIENCE).expect("a confirm");
            assert_eq!(confirm.unwrap().routed, !returns(n), "{n}");
        }
    }
    bus.close();
}

#[test]
fn of_messages_with_one_key_the_one_that_comes_back_is_told_by_its_id() {
    told((3, 3), (0..3).map(event).collect(), |n| n == 1);
}

#[test]
fn of_messages_with_one_id_the_one_that_comes_back_is_told_by_its_key_and_exchange() {
    let message = |exchange: &str, key: &str| {
        let mut message = event(7);
        (message.exchange, message.key) = (exchange.to_owned(), key.to_owned());
        message
    };
    let messages = vec![message("one", "a"), message("other", "a"), message("other", "b")];
    told((3, 3), messages.clone(), |n| n == 1);
    told((3, 3), messages, |n| n == 2);
}

#[test]
fn of_many_that_are_confirmed_at_once_those_that_come_back_are_told() {
    told((500, 500), (0..20_000).map(event).collect(), |n| n % 3 == 0);
    // And while others are on their way there.
    for confirmed in [1, 50] {
        told((20_000, confirmed), (0..20_000).map(event).collect(), |n| n % 3 == 0);
    }
}

#[test]
fn nothing_is_confirmed_before_the_broker_does() {
    let (url, received) = broker(3, Arc::new(|_| Fate::Taken));
    let bus = connect(&url);
    let (sender, confirms) = channel();
    let publish = |n| {
        let sender = sender.clone();
        bus.0.publish(event(n), Resolver::new(move |done| drop(sender.send((n, done)))));
    };
    publish(0);
    publish(1);
    // Neither waits for the other.
    poll_until("two messages", || (received.lock().unwrap().len() == 2).then_some(()));
    assert!(confirms.try_recv().is_err());
    publish(2);
    for n in 0..3 {
        let (told, confirm) = confirms.recv_timeout(PATIENCE).expect("a confirm");
        assert_eq!((told, confirm.unwrap().routed), (n, true));
    }
    bus.close();
}

#[test]
fn what_the_broker_refuses_is_published_again() {
    // While a leader is elected, a channel may be refused everything, for ever.
    let refused = |n| if n < 3 { Fate::Refused } else { Fate::Taken };
    let (url, received) = broker(3, Arc::new(refused));
    let bus = connect(&url);
    let (sender, confirms) = channel();
    for n in 0..3 {
        let sender = sender.clone();
        bus.0.publish(event(n), Resolver::new(move |done| drop(sender.send((n, done)))));
    }
    for n in 0..3 {
        let (told, confirm) = confirms.recv_timeout(PATIENCE).expect("a confirm");
        assert_eq!((told, confirm.unwrap().routed), (n, true));
    }
    bus.close();
    let bodies: Vec<Vec<u8>> = (0..6).map(|n| event(n % 3).body).collect();
    assert_eq!(*received.lock().unwrap(), bodies);
}

#[test]
fn what_is_not_confirmed_is_published_again_in_order_on_the_next_connection() {
    let cut = AtomicBool::new(false);
    let once = move |_| if cut.swap(true, Ordering::AcqRel) { Fate::Taken } else { Fate::Cut };
    let (url, received) = broker(3, Arc::new(once));
    let bus = connect(&url);
    let (sender, confirms) = channel();
    for n in 0..6 {
        let sender = sender.clone();
        bus.0.publish(event(n), Resolver::new(move |done| drop(sender.send((n, done)))));
    }
    for n in 0..6 {
        let (told, confirm) = confirms.recv_timeout(PATIENCE).expect("a confirm");
        assert_eq!((told, confirm.unwrap().routed), (n, true));
    }
    bus.close();
    let bodies: Vec<Vec<u8>> = (0..3).chain(0..6).map(|n| event(n).body).collect();
    assert_eq!(*received.lock().unwrap(), bodies);
}
