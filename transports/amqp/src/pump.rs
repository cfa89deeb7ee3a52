//! Moves bytes between the socket and those who speak over it: the client, at the other end of a pipe,
//! and the [lanes](crate::lane). It runs on the thread of the transport, so that a message that
//! arrives is with its consumer after one wake-up, and what is published or acknowledged meanwhile
//! goes into the socket at once.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use lapin::protocol::AMQPError;
use lapin::types::ShortString;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::frame::{self, Front, Kind, PULSE, Reader, method};
use crate::lane::Lanes;
use crate::screen;

/// How much is read at once, at least.
const CHUNK: usize = 64 << 10;
/// How much waits for the socket, or for the client, before more is taken for it.
const ENOUGH: usize = 512 << 10;
/// How often it goes round before everything else has its turn.
const TURNS: usize = 4;
/// How long the client may believe that nothing comes. It ends a connection that is silent for twice
/// its heartbeat, which is a second at the least.
const SILENCE: Duration = Duration::from_millis(250);
/// What a client says first: AMQP 0-9-1, section 4.2.2.
const GREETING: usize = 8;

/// Moves the bytes of one connection, until either end of it is gone.
pub(crate) struct Pump<S> {
    socket: S,
    client: Option<DuplexStream>,
    lanes: Rc<Lanes>,
    sorter: Sorter,
    /// What was read from the socket and is no whole frame yet.
    inbox: Buffer,
    /// What the client wrote, the same.
    outbox: Buffer,
    greeted: bool,
    /// How much of what is to be written has been.
    written: usize,
    /// Something was written that may be on its way still.
    flushing: bool,
    /// How much of what is for the client it has.
    passed: usize,
    heard: Instant,
    /// The socket has ended.
    over: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pump<S> {
    pub(crate) fn new(socket: S, client: DuplexStream, lanes: Rc<Lanes>) -> Self {
        Self {
            socket,
            client: Some(client),
            lanes,
            sorter: Sorter::default(),
            inbox: Buffer::default(),
            outbox: Buffer::default(),
            greeted: false,
            written: 0,
            flushing: false,
            passed: 0,
            heard: Instant::now(),
            over: false,
        }
    }

    pub(crate) async fn run(mut self) {
        // However it ended, whoever is at the channels is told, and the client finds its pipe closed.
        let _ = std::future::poll_fn(|cx| self.poll(cx)).await;
        for inbox in self.lanes.all() {
            inbox.close(io::Error::from(io::ErrorKind::ConnectionAborted).into());
        }
        if self.client.is_none() {
            // The client has said goodbye.
            let _ = std::future::poll_fn(|cx| Pin::new(&mut self.socket).poll_shutdown(cx)).await;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lanes.register(cx);
        for _ in 0..TURNS {
            let mut moved = self.take_from_client(cx);
            moved |= self.write(cx)?;
            moved |= self.read(cx)?;
            moved |= self.pass_to_client(cx);
            let left = self.client.is_none() && self.lanes.out.borrow().is_empty();
            if left || self.over && self.sorter.inward.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if !moved {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves what the client wrote, in whole frames, among what is to be written.
    fn take_from_client(&mut self, cx: &mut Context<'_>) -> bool {
        if self.lanes.out.borrow().len() - self.written > ENOUGH {
            return false;
        }
        let Some(client) = &mut self.client else { return false };
        match self.outbox.poll_fill(Pin::new(client), cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0) | Err(_)) => {
                self.client = None;
                return true;
            }
            Poll::Ready(Ok(_)) => {}
        }
        let mut out = self.lanes.out.borrow_mut();
        let bytes = self.outbox.bytes();
        let mut done = 0;
        if !self.greeted && bytes.len() >= GREETING {
            out.extend_from_slice(&bytes[..GREETING]);
            done = GREETING;
            self.greeted = true;
        }
        while let Front::Frame { kind, channel, whole } = frame::front(&bytes[done..]) {
            let frame = &mut bytes[done..done + whole];
            if kind == Kind::Method {
                match frame::method_of(frame::payload(frame)) {
                    Some(method::CHANNEL_CLOSE | method::CHANNEL_CLOSE_OK) => {
                        self.lanes.inbox(channel).into_iter().for_each(|inbox| inbox.shut());
                    }
                    Some(method::CONNECTION_CLOSE) => {
                        self.lanes.all().iter().for_each(|inbox| inbox.shut());
                    }
                    _ => {}
                }
            }
            out.extend_from_slice(frame);
            done += whole;
        }
        self.outbox.consume(done);
        true
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut out = self.lanes.out.borrow_mut();
        let mut moved = false;
        while self.written < out.len() {
            match Pin::new(&mut self.socket).poll_write(cx, &out[self.written..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    (self.flushing, moved) = (true, true);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        if self.written == out.len() {
            out.clear();
            // After a burst, the memory of it is given back.
            out.shrink_to(ENOUGH);
            self.written = 0;
            if self.flushing {
                match Pin::new(&mut self.socket).poll_flush(cx) {
                    Poll::Ready(result) => {
                        result?;
                        self.flushing = false;
                    }
                    Poll::Pending => {}
                }
            }
        } else if self.written > ENOUGH {
            out.drain(..self.written);
            self.written = 0;
        }
        Ok(moved)
    }

    fn read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.over || self.sorter.inward.len() - self.passed > ENOUGH {
            return Ok(false);
        }
        match self.inbox.poll_fill(Pin::new(&mut self.socket), cx)? {
            Poll::Pending => return Ok(false),
            Poll::Ready(0) => self.over = true,
            Poll::Ready(_) => {
                let before = self.sorter.inward.len();
                let done = self.sorter.sort(self.inbox.bytes(), &self.lanes);
                self.inbox.consume(done);
                let now = Instant::now();
                if self.sorter.inward.len() > before {
                    self.heard = now;
                } else if now - self.heard >= SILENCE {
                    self.sorter.inward.extend_from_slice(&PULSE);
                    self.heard = now;
                }
            }
        }
        Ok(true)
    }

    fn pass_to_client(&mut self, cx: &mut Context<'_>) -> bool {
        let inward = &mut self.sorter.inward;
        let Some(client) = &mut self.client else {
            inward.clear();
            return false;
        };
        let mut moved = false;
        while self.passed < inward.len() {
            match Pin::new(&mut *client).poll_write(cx, &inward[self.passed..]) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.passed += count;
                    moved = true;
                }
                Poll::Ready(_) => {
                    self.client = None;
                    inward.clear();
                    self.passed = 0;
                    return true;
                }
                Poll::Pending => return moved,
            }
        }
        inward.clear();
        inward.shrink_to(ENOUGH);
        self.passed = 0;
        moved
    }
}

/// Tells what is for the client from what is for the lanes.
#[derive(Debug, Default)]
struct Sorter {
    /// Whether whoever is at the other end does not speak in frames.
    foreign: bool,
    /// What is for the client.
    inward: Vec<u8>,
}

impl Sorter {
    /// Sorts the whole frames at the front, screened; how many bytes those are.
    fn sort(&mut self, bytes: &mut [u8], lanes: &Lanes) -> usize {
        let mut done = 0;
        while !self.foreign {
            match frame::front(&bytes[done..]) {
                Front::Part => return done,
                Front::Foreign => self.foreign = true,
                Front::Frame { kind, channel, whole } => {
                    let frame = &mut bytes[done..done + whole];
                    if !take(kind, channel, frame, lanes) {
                        self.inward.extend_from_slice(frame);
                    }
                    done += whole;
                }
            }
        }
        self.inward.extend_from_slice(&bytes[done..]);
        bytes.len()
    }
}

/// Screens a frame, and gives it to its lane, if it is for one.
fn take(kind: Kind, channel: u16, frame: &mut [u8], lanes: &Lanes) -> bool {
    let inbox = lanes.inbox(channel);
    let payload = frame::payload(frame);
    match kind {
        Kind::Method => {
            screen::method(payload);
            match frame::method_of(payload) {
                Some(method::CHANNEL_CLOSE | method::CHANNEL_CLOSE_OK) => {
                    if let Some(inbox) = inbox {
                        inbox.close(why(payload));
                    }
                    false
                }
                Some(method::CONNECTION_CLOSE) => {
                    lanes.all().iter().for_each(|inbox| inbox.shut());
                    false
                }
                _ => inbox.is_some_and(|inbox| inbox.method(payload)),
            }
        }
        Kind::Header => {
            screen::header(payload);
            inbox.is_some_and(|inbox| inbox.header(payload))
        }
        Kind::Body => inbox.is_some_and(|inbox| inbox.body(payload)),
        Kind::Other => false,
    }
}

/// Why the broker closes a channel.
fn why(payload: &[u8]) -> lapin::Error {
    let told = || {
        let mut fields = Reader(payload.get(4..)?);
        let (code, text) = (fields.u16()?, fields.short()?);
        AMQPError::from_id(code, ShortString::try_new(text).ok()?)
    };
    match told() {
        Some(error) => lapin::ErrorKind::ProtocolError(error).into(),
        None => io::Error::from(io::ErrorKind::ConnectionAborted).into(),
    }
}

/// Bytes of which the front is taken in whole frames.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.filled]
    }

    /// Reads something more; how much.
    fn poll_fill(
        &mut self,
        from: Pin<&mut impl AsyncRead>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.bytes.len() < self.filled + CHUNK {
            self.bytes.resize(self.filled + 2 * CHUNK, 0);
        }
        let mut buffer = ReadBuf::new(&mut self.bytes[self.filled..]);
        std::task::ready!(from.poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        self.filled += count;
        Poll::Ready(Ok(count))
    }

    /// Takes from the front.
    fn consume(&mut self, count: usize) {
        self.bytes.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::{Event, Lane};

    /// What a broker sends: an acknowledgement on each of two channels, a method for the client, and the
    /// end of the first channel.
    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        for channel in [1, 2] {
            frame::write_method(&mut bytes, channel, method::ACK, |out| {
                out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 9, 1]);
            });
        }
        frame::write_method(&mut bytes, 1, (50, 11), |out| frame::write_short(out, "q"));
        frame::write_method(&mut bytes, 1, method::CHANNEL_CLOSE, |out| {
            out.extend_from_slice(&404_u16.to_be_bytes());
            frame::write_short(out, "gone");
            out.extend_from_slice(&[0; 4]);
        });
        bytes
    }

    #[test]
    fn each_gets_what_is_theirs_in_whatever_pieces_it_comes() {
        let mut whole = Sorter::default();
        whole.sort(&mut bytes(), &Lanes::default());
        assert_eq!(whole.inward, bytes(), "without lanes, all is the client's");
        for seed in 0..100 {
            let mut random = fastrand::Rng::with_seed(seed);
            let lanes = Rc::new(Lanes::default());
            let lane = Lane::new(&lanes, 1, 0);
            let (mut sorter, mut buffer) = (Sorter::default(), Vec::new());
            let all = bytes();
            let mut rest = &all[..];
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(random.usize(1..=rest.len().min(20)));
                buffer.extend_from_slice(piece);
                rest = tail;
                let done = sorter.sort(&mut buffer, &lanes);
                buffer.drain(..done);
            }
            let ack = all.len() - whole.inward.len();
            assert_eq!((ack, sorter.inward.len() + 21), (0, all.len()), "seed {seed}");
            assert!(matches!(
                lane.take(),
                Some(Event::Confirmed { tag: 9, multiple: true, acked: true })
            ));
            let Some(Event::Closed(error)) = lane.take() else { panic!("seed {seed}") };
            assert_eq!(crate::error::reply_code(&error), Some(404));
            assert!(lane.take().is_none());
        }
    }

    #[test]
    fn who_speaks_in_no_frames_is_the_clients() {
        let mut bytes = *b"AMQP\x00\x01\x00\x00\x02";
        let mut sorter = Sorter::default();
        assert_eq!(sorter.sort(&mut bytes, &Lanes::default()), bytes.len());
        assert_eq!(sorter.inward, bytes);
    }

    #[test]
    fn bytes_go_both_ways_until_an_end_is_gone() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let (socket, mut broker) = tokio::io::duplex(100);
            let (mut client, pipe) = tokio::io::duplex(100);
            let lanes = Rc::new(Lanes::default());
            let lane = Lane::new(&lanes, 1, 0);
            let pump = tokio::task::spawn_local(Pump::new(socket, pipe, lanes).run());
            client.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
            let mut greeting = [0; GREETING];
            broker.read_exact(&mut greeting).await.unwrap();
            assert_eq!(&greeting, b"AMQP\x00\x00\x09\x01");
            // More than fits into the pipes.
            lane.publish(("", "q"), false, |out| out.extend_from_slice(&[0, 0]), &[7; 1_000]);
            let mut message = vec![0; 1_000];
            broker.read_exact(&mut message).await.unwrap();
            for _ in 0..200 {
                broker.write_all(&PULSE).await.unwrap();
                let mut pulse = PULSE;
                client.read_exact(&mut pulse).await.unwrap();
                assert_eq!(pulse, PULSE);
            }
            drop(broker);
            assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
            pump.await.unwrap();
            assert!(matches!(lane.take(), Some(Event::Closed(_))));
        });
    }
}
