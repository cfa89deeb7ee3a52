//! The messages of one channel, apart from the client: what is published and acknowledged goes from
//! here into the socket, and what is delivered, confirmed or returned comes from there, all on the
//! thread of the transport and without a lock. Whatever else happens on a channel, such as its opening,
//! its declarations and its end, is the client's.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::frame::{self, Reader, method};

/// A message as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    /// By which it is acknowledged.
    pub(crate) tag: u64,
    pub(crate) redelivered: bool,
    pub(crate) exchange: String,
    pub(crate) key: String,
    /// As they are on the wire, with their flags.
    pub(crate) properties: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// What came on a channel.
#[derive(Debug)]
pub(crate) enum Event {
    Delivered(Parcel),
    /// No queue wanted it. It is confirmed after that.
    Returned(Parcel),
    Confirmed {
        /// Of those that were published on the channel, counted from 1.
        tag: u64,
        /// All before it, too.
        multiple: bool,
        acked: bool,
    },
    /// Nothing comes any more.
    Closed(lapin::Error),
}

/// What came, until it is taken.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    events: RefCell<VecDeque<Event>>,
    waker: RefCell<Option<Waker>>,
    /// Whether nothing may be written any more.
    shut: Cell<bool>,
    content: RefCell<Option<Content>>,
}

/// A message of which not everything has come.
#[derive(Debug)]
struct Content {
    parcel: Parcel,
    returned: bool,
    /// How much of its body is missing, once its header is there.
    left: Option<usize>,
}

/// A body that claims to be longer gets its memory as it comes.
const AHEAD: usize = 128 << 10;

impl Inbox {
    /// Takes a method, if it is one of a message; `false` if it is for the client.
    pub(crate) fn method(&self, payload: &[u8]) -> bool {
        let Some(which) = frame::method_of(payload) else { return false };
        let mut fields = Reader(&payload[4..]);
        match which {
            method::DELIVER | method::RETURN => {
                let returned = which == method::RETURN;
                let parcel = if returned { read_return(fields) } else { read_deliver(fields) };
                let Some(parcel) = parcel else { return false };
                *self.content.borrow_mut() = Some(Content { parcel, returned, left: None });
                true
            }
            method::ACK | method::NACK => {
                let (Some(tag), Some(flags)) = (fields.u64(), fields.u8()) else { return false };
                let acked = which == method::ACK;
                self.push(Event::Confirmed { tag, multiple: flags & 1 != 0, acked });
                true
            }
            _ => false,
        }
    }

    /// Takes the header of a message, if one is expected.
    pub(crate) fn header(&self, payload: &[u8]) -> bool {
        let mut content = self.content.borrow_mut();
        let Some(message) = content.as_mut().filter(|message| message.left.is_none()) else {
            return false;
        };
        let mut fields = Reader(payload);
        let (Some(_), Some(size)) = (fields.u32(), fields.u64()) else { return false };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        message.parcel.properties = fields.0.to_vec();
        message.parcel.body.reserve_exact(size.min(AHEAD));
        message.left = Some(size);
        drop(content);
        self.complete();
        true
    }

    /// Takes a part of a body, if one is expected.
    pub(crate) fn body(&self, payload: &[u8]) -> bool {
        let mut content = self.content.borrow_mut();
        let Some(message) = content.as_mut() else { return false };
        let Some(left) = message.left.as_mut() else { return false };
        *left = left.saturating_sub(payload.len());
        message.parcel.body.extend_from_slice(payload);
        drop(content);
        self.complete();
        true
    }

    fn complete(&self) {
        let content = self.content.borrow_mut().take_if(|content| content.left == Some(0));
        if let Some(Content { parcel, returned, .. }) = content {
            self.push(if returned { Event::Returned(parcel) } else { Event::Delivered(parcel) });
        }
    }

    /// Nothing may be written any more.
    pub(crate) fn shut(&self) {
        self.shut.set(true);
    }

    /// Nothing comes any more.
    pub(crate) fn close(&self, error: lapin::Error) {
        self.shut();
        self.push(Event::Closed(error));
    }

    fn push(&self, event: Event) {
        self.events.borrow_mut().push_back(event);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

fn read_deliver(mut fields: Reader<'_>) -> Option<Parcel> {
    let (_consumer, tag, flags) = (fields.short()?, fields.u64()?, fields.u8()?);
    parcel(tag, flags & 1 != 0, fields)
}

fn read_return(mut fields: Reader<'_>) -> Option<Parcel> {
    let (_code, _text) = (fields.u16()?, fields.short()?);
    parcel(0, false, fields)
}

fn parcel(tag: u64, redelivered: bool, mut fields: Reader<'_>) -> Option<Parcel> {
    let (exchange, key) = (fields.short()?.to_owned(), fields.short()?.to_owned());
    Some(Parcel { tag, redelivered, exchange, key, properties: Vec::new(), body: Vec::new() })
}

/// What all channels of a connection share.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// What is to be written into the socket: whole frames.
    pub(crate) out: RefCell<Vec<u8>>,
    /// Who writes it.
    pub(crate) writer: RefCell<Option<Waker>>,
    /// By the numbers of their channels.
    inboxes: RefCell<Vec<Option<Rc<Inbox>>>>,
}

impl Lanes {
    /// Where the messages of a channel go.
    pub(crate) fn inbox(&self, channel: u16) -> Option<Rc<Inbox>> {
        self.inboxes.borrow().get(usize::from(channel)).cloned().flatten()
    }

    /// Those of all channels.
    pub(crate) fn all(&self) -> Vec<Rc<Inbox>> {
        self.inboxes.borrow().iter().flatten().cloned().collect()
    }

    /// Notes who writes.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        let mut writer = self.writer.borrow_mut();
        match &mut *writer {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

/// The messages of one channel.
#[derive(Debug)]
pub(crate) struct Lane {
    channel: u16,
    frame_max: usize,
    lanes: Rc<Lanes>,
    inbox: Rc<Inbox>,
}

impl Lane {
    /// Takes the messages of a channel from now on. Frames are as long as was agreed on; 0 is no limit.
    pub(crate) fn new(lanes: &Rc<Lanes>, channel: u16, frame_max: u32) -> Self {
        let inbox = Rc::new(Inbox::default());
        let mut inboxes = lanes.inboxes.borrow_mut();
        let index = usize::from(channel);
        if inboxes.len() <= index {
            inboxes.resize(index + 1, None);
        }
        inboxes[index] = Some(inbox.clone());
        drop(inboxes);
        // AMQP 0-9-1, section 1.1: no less is ever agreed on than 4096.
        let frame_max = match usize::try_from(frame_max) {
            Ok(0) | Err(_) => 128 << 10,
            Ok(most) => most.max(4096),
        };
        Self { channel, frame_max, lanes: lanes.clone(), inbox }
    }

    /// Publishes; what this writes is on its way once the thread has nothing else to do.
    pub(crate) fn publish(
        &self,
        (exchange, key): (&str, &str),
        mandatory: bool,
        properties: impl FnOnce(&mut Vec<u8>),
        body: &[u8],
    ) {
        self.write(|out| {
            frame::write_method(out, self.channel, method::PUBLISH, |out| {
                out.extend_from_slice(&[0, 0]);
                frame::write_short(out, exchange);
                frame::write_short(out, key);
                out.push(u8::from(mandatory));
            });
            frame::write_content(out, self.channel, self.frame_max, properties, body);
        });
    }

    /// Acknowledges one, or all up to it.
    pub(crate) fn ack(&self, tag: u64, multiple: bool) {
        self.write(|out| {
            frame::write_method(out, self.channel, method::ACK, |out| {
                out.extend_from_slice(&tag.to_be_bytes());
                out.push(u8::from(multiple));
            });
        });
    }

    /// Hands one back to its queue.
    pub(crate) fn hand_back(&self, tag: u64) {
        const REQUEUE: u8 = 2;
        self.write(|out| {
            frame::write_method(out, self.channel, method::NACK, |out| {
                out.extend_from_slice(&tag.to_be_bytes());
                out.push(REQUEUE);
            });
        });
    }

    fn write(&self, write: impl FnOnce(&mut Vec<u8>)) {
        // On a channel that ends, the broker takes nothing more, and ends the connection for it.
        if self.inbox.shut.get() {
            return;
        }
        write(&mut self.lanes.out.borrow_mut());
        if let Some(writer) = &*self.lanes.writer.borrow() {
            writer.wake_by_ref();
        }
    }

    /// The next that came, if there is one.
    pub(crate) fn take(&self) -> Option<Event> {
        self.inbox.events.borrow_mut().pop_front()
    }

    /// Waits for what comes next; for ever after the end of the channel.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub(crate) async fn next(&self) -> Event {
        poll_fn(|cx| {
            if let Some(event) = self.take() {
                return Poll::Ready(event);
            }
            *self.inbox.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut inboxes = self.lanes.inboxes.borrow_mut();
        // Another channel may have its number by now.
        if let Some(entry) = inboxes.get_mut(usize::from(self.channel))
            && entry.as_ref().is_some_and(|entry| Rc::ptr_eq(entry, &self.inbox))
        {
            *entry = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Front, Kind, front, payload};

    /// The frames that a lane wrote, as those of a broker.
    fn frames(lanes: &Lanes) -> Vec<(Kind, Vec<u8>)> {
        let mut bytes = std::mem::take(&mut *lanes.out.borrow_mut());
        let mut rest = &mut bytes[..];
        let mut frames = Vec::new();
        while let Front::Frame { kind, whole, .. } = front(rest) {
            let (frame, tail) = rest.split_at_mut(whole);
            frames.push((kind, payload(frame).to_vec()));
            rest = tail;
        }
        assert!(rest.is_empty());
        frames
    }

    /// A delivery with what is published, as the broker sends it.
    fn deliver(lanes: &Lanes, lane: &Lane, tag: u64, body: &[u8]) -> Vec<(Kind, Vec<u8>)> {
        lane.publish(("order", "key"), true, |out| out.extend_from_slice(&[0, 0]), body);
        let mut frames = frames(lanes);
        frame::write_method(&mut lanes.out.borrow_mut(), 1, method::DELIVER, |out| {
            frame::write_short(out, "consumer");
            out.extend_from_slice(&tag.to_be_bytes());
            out.push(1);
            frame::write_short(out, "order");
            frame::write_short(out, "key");
        });
        frames[0] = self::frames(lanes).remove(0);
        frames
    }

    fn take(inbox: &Inbox, (kind, payload): &(Kind, Vec<u8>)) -> bool {
        match kind {
            Kind::Method => inbox.method(payload),
            Kind::Header => inbox.header(payload),
            Kind::Body | Kind::Other => inbox.body(payload),
        }
    }

    #[test]
    fn a_message_is_there_once_all_of_it_is() {
        let lanes = Rc::new(Lanes::default());
        let lane = Lane::new(&lanes, 1, 0);
        let body = vec![7; 300_000];
        for (tag, body) in [(1, &body[..]), (2, b"")] {
            let frames = deliver(&lanes, &lane, tag, body);
            assert_eq!(frames.len(), if body.is_empty() { 2 } else { 5 });
            for frame in &frames {
                assert!(lane.take().is_none());
                assert!(take(&lane.inbox, frame));
            }
            let Some(Event::Delivered(parcel)) = lane.take() else { panic!("no delivery") };
            assert_eq!((parcel.tag, parcel.redelivered, parcel.body), (tag, true, body.to_vec()));
            assert_eq!((parcel.exchange.as_str(), parcel.key.as_str()), ("order", "key"));
        }
    }

    #[test]
    fn what_is_not_of_a_message_is_for_the_client() {
        let lanes = Rc::new(Lanes::default());
        let lane = Lane::new(&lanes, 1, 0);
        assert!(!lane.inbox.header(&[0; 14]) && !lane.inbox.body(b"x"));
        assert!(!lane.inbox.method(&[0, 60, 0, 21]) && !lane.inbox.method(b""));
    }

    #[test]
    fn nothing_is_written_on_a_channel_that_ends() {
        let lanes = Rc::new(Lanes::default());
        let lane = Lane::new(&lanes, 1, 0);
        lane.ack(1, false);
        assert_eq!(frames(&lanes).len(), 1);
        lane.inbox.shut();
        lane.ack(2, false);
        assert_eq!(frames(&lanes).len(), 0);
    }

    #[test]
    fn a_lane_leaves_its_number_to_the_next_one() {
        let lanes = Rc::new(Lanes::default());
        let first = Lane::new(&lanes, 3, 0);
        let second = Lane::new(&lanes, 3, 0);
        drop(first);
        assert!(lanes.inbox(3).is_some_and(|inbox| Rc::ptr_eq(&inbox, &second.inbox)));
        drop(second);
        assert!(lanes.inbox(3).is_none());
    }
}
