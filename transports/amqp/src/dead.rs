//! The dead letters of a queue, looked at without being taken: each is got, none is acknowledged, and
//! all are put back.
//!
//! It is done on a connection for once: RabbitMQ closes the whole connection of who gets from a quorum
//! queue at the moment at which it is declared or deleted, and consumers must not suffer from that.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use autobus_core::transport::{Confirm, Dead, Queue, QueueKind, Resolver};
use autobus_core::{Error, ErrorKind};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};

use crate::connection::{self, Dialer, Link, Open};
use crate::error::{self, code, failed, short};
use crate::publish::{Done, Publisher, To};
use crate::retry;
use crate::topology::Place;
use crate::wire::{self, Site, Stamp};

/// How long the broker may take for one message. While it makes or deletes a quorum queue, it may
/// forget to answer at all; on another channel it does.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// What to do with the dead letter of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Replay,
    Discard,
}

/// Works on dead letters, for one connection after another.
#[derive(Clone)]
pub(crate) struct Graves {
    pub(crate) dialer: Rc<Dialer>,
    pub(crate) link: Link,
    pub(crate) publisher: Publisher,
    pub(crate) body_limit: usize,
}

/// How it ended: with an answer, or without the connection.
type Answer<T> = Result<Result<T, Error>, lapin::Error>;

impl Graves {
    pub(crate) async fn list(mut self, queue: Queue) -> Result<Vec<Dead>, Error> {
        if matches!(queue.kind, QueueKind::Broadcast) {
            return Ok(Vec::new());
        }
        loop {
            let (known, open) = self.open().await?;
            let answer = open.once(self.list_once(&open, &queue)).await;
            open.close(GOODBYE).await;
            match answer {
                Some(Ok(answer)) => return answer,
                _ => self.link.recover(&known).await,
            }
        }
    }

    /// Whether there was one.
    pub(crate) async fn judge(
        mut self,
        queue: Queue,
        id: String,
        verdict: Verdict,
    ) -> Result<bool, Error> {
        if matches!(queue.kind, QueueKind::Broadcast) {
            return Ok(false);
        }
        loop {
            let (known, open) = self.open().await?;
            let answer = open.once(self.judge_once(&open, &queue, &id, verdict)).await;
            open.close(GOODBYE).await;
            match answer {
                Some(Ok(answer)) => return answer,
                _ => self.link.recover(&known).await,
            }
        }
    }

    /// The connection that is there, and one for once.
    async fn open(&mut self) -> Result<(Rc<Open>, Open), Error> {
        let known = self.link.open().await.ok_or_else(error::closed)?;
        Ok((known, connection::visit(&self.dialer).await?))
    }

    async fn list_once(&self, open: &Open, queue: &Queue) -> Answer<Vec<Dead>> {
        let channel = open.channel().await?;
        let mut letters = Vec::new();
        let mut last = None;
        let answer = loop {
            match self.next(&channel, queue).await? {
                Ok(Some((tag, letter))) => {
                    last = Some(tag);
                    letters.push(letter);
                }
                Ok(None) => break Ok(letters),
                Err(error) => break Err(error),
            }
        };
        put_back(&channel, last).await?;
        // A quorum queue does not put back in order.
        Ok(answer.map(|mut letters: Vec<Dead>| {
            letters.sort_by_key(|letter| letter.time);
            letters
        }))
    }

    async fn judge_once(
        &self,
        open: &Open,
        queue: &Queue,
        id: &str,
        verdict: Verdict,
    ) -> Answer<bool> {
        let channel = open.channel().await?;
        let mut last = None;
        let answer = loop {
            let (tag, letter) = match self.next(&channel, queue).await? {
                Ok(Some(next)) => next,
                Ok(None) => break Ok(false),
                Err(error) => break Err(error),
            };
            last = Some(tag);
            if letter.message.id != id {
                continue;
            }
            if verdict == Verdict::Replay
                && let Err(error) = self.replay(queue, letter).await
            {
                break Err(error);
            }
            channel.basic_ack(tag, BasicAckOptions::default()).await?;
            last = Some(tag - 1).filter(|tag| *tag > 0);
            break Ok(true);
        };
        put_back(&channel, last).await?;
        Ok(answer)
    }

    /// The next one, with its tag; there is no end to them only if they come faster than this.
    async fn next(&self, channel: &Channel, queue: &Queue) -> Answer<Option<(u64, Dead)>> {
        let name = retry::dead(&queue.name);
        match get(channel, &name).await {
            Ok(None) => Ok(Ok(None)),
            Ok(Some(delivery)) => {
                let tag = delivery.delivery_tag;
                Ok(Ok(Some((tag, wire::dead(delivery, &self.site(queue))))))
            }
            // Nothing of a queue that was never declared has died.
            Err(error) if error::reply_code(&error) == Some(code::NOT_FOUND) => Ok(Ok(None)),
            Err(error) => refusal(&name, Err(error)),
        }
    }

    /// Puts it into its queue as if it had never failed; returns once it is there.
    async fn replay(&self, queue: &Queue, letter: Dead) -> Result<(), Error> {
        let (resolver, there) = Resolver::<Confirm>::pair();
        let stamp = Stamp { attempt: 1, lost: 0, rest: Duration::ZERO, death: None };
        let to = To::Place(Place::Main(queue.clone()));
        self.publisher.send(Arc::new(letter.message), Some(stamp), to, Done::User(resolver));
        there.await.map(drop)
    }

    fn site(&self, queue: &Queue) -> Site {
        let prefix = if matches!(queue.kind, QueueKind::Task) { "task." } else { "" };
        Site { prefix, body_limit: self.body_limit }
    }
}

/// Puts back all up to a tag, and returns once they are there: closing the channel does it too, but
/// some time later.
async fn put_back(channel: &Channel, last: Option<u64>) -> lapin::Result<()> {
    if let Some(tag) = last {
        channel.basic_nack(tag, BasicNackOptions { multiple: true, requeue: true }).await?;
    }
    // A refusal has closed it already.
    let _ = channel.close(200, ShortString::default()).await;
    Ok(())
}

/// How many messages wait in a queue, and how many consume it.
pub(crate) async fn declared(channel: &Channel, name: &str) -> lapin::Result<(u64, u64)> {
    let Ok(queue) = short("the name of a queue", name) else { return Ok((0, 0)) };
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare(queue, options, FieldTable::default()).await?;
    Ok((queue.message_count().into(), queue.consumer_count().into()))
}

async fn get(channel: &Channel, name: &str) -> lapin::Result<Option<Delivery>> {
    let Ok(queue) = short("the name of a queue", name) else { return Ok(None) };
    let got = channel.basic_get(queue, BasicGetOptions::default());
    match tokio::time::timeout(PATIENCE, got).await {
        Ok(got) => Ok(got?.map(|got| got.delivery)),
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// Tells what the broker refuses from what the connection lost.
pub(crate) fn refusal<T>(name: &str, result: lapin::Result<T>) -> Answer<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error::reply_code(&error) == Some(code::NOT_FOUND) => {
            let message = format!("there is no queue `{name}`");
            Ok(Err(Error::of_kind(ErrorKind::Transport, message).with_source(error)))
        }
        Err(error) if error::is_refusal(&error) => {
            Ok(Err(failed(format!("the queue `{name}`"), &error)))
        }
        Err(error) => Err(error),
    }
}
