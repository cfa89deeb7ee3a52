//! Which messages come back: against a broker of our own, since only that says in which order it
//! confirms and returns.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use autobus_core::transport::{Envelope, Resolver, Transport as _};

use support::{PATIENCE, connect, event, long, short};

/// A message as it was published: its exchange and key, each as a short text, its header and its body.
#[derive(Debug, Default)]
struct Published {
    channel: u16,
    address: Vec<u8>,
    header: Vec<u8>,
    body: Vec<u8>,
}

/// Whether the message of this number is returned.
type Returns = Arc<dyn Fn(usize) -> bool + Send + Sync>;

/// Starts a broker that takes so many messages, returns some and confirms all of them at once, and so
/// on; gives its URL.
fn broker(batch: usize, returns: Returns) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqp://{}?heartbeat=0", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let returns = returns.clone();
            thread::spawn(move || Session { stream: stream.unwrap(), batch, returns }.run());
        }
    });
    url
}

/// One connection.
struct Session {
    stream: TcpStream,
    batch: usize,
    returns: Returns,
}

impl Session {
    fn run(mut self) {
        let mut greeting = [0; 8];
        self.stream.read_exact(&mut greeting).unwrap();
        let start = [&[0, 9][..], &long(b""), &long(b"PLAIN"), &long(b"en_US")].concat();
        self.send(&method(0, (10, 10), &start));
        let mut published: Vec<Published> = Vec::new();
        let mut confirmed = 0;
        while let Some((kind, channel, payload)) = self.read() {
            match kind {
                1 => {
                    let number = |at| u16::from_be_bytes([payload[at], payload[at + 1]]);
                    if (number(0), number(2)) == (60, 40) {
                        let address = payload[6..payload.len() - 1].to_vec();
                        published.push(Published { channel, address, ..Published::default() });
                    } else if let Some(answer) = answer(channel, (number(0), number(2))) {
                        self.send(&answer);
                    }
                }
                2 => published.last_mut().unwrap().header = payload,
                3 => published.last_mut().unwrap().body = payload,
                _ => {}
            }
            if published.len() == self.batch && published.iter().all(|one| !one.body.is_empty()) {
                let mut bytes = Vec::new();
                for (at, one) in published.drain(..).enumerate() {
                    if (self.returns)(confirmed + at) {
                        let reason = [&[1, 56][..], &short(b"NO_ROUTE"), &one.address].concat();
                        bytes.extend(method(one.channel, (60, 50), &reason));
                        bytes.extend(frame(2, one.channel, &one.header));
                        bytes.extend(frame(3, one.channel, &one.body));
                    }
                    if at + 1 == self.batch {
                        confirmed += self.batch;
                        let all = [&(confirmed as u64).to_be_bytes()[..], &[1]].concat();
                        bytes.extend(method(one.channel, (60, 80), &all));
                    }
                }
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
    let returns: Returns = Arc::new(returns);
    let bus = connect(&broker(confirmed, returns.clone()));
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
