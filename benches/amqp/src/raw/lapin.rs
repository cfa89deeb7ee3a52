//! On lapin.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use autobus_bench_amqp::{Meter, Order, Site};
use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    PublisherConfirm,
};

use super::{BATCH, PREFETCH, run};
use crate::measure::{Failed, WINDOW, finished};

/// The queue of the server of calls.
const SERVER: &str = "server";
/// Direct reply-to.
const REPLIES: &str = "amq.rabbitmq.reply-to";

async fn connect(site: &Site) -> Result<(Connection, Channel), Failed> {
    let connection = Connection::connect(&site.url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

/// What a message says of itself beside its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metadata {
    /// That it is JSON.
    Least,
    /// What a bus says of it: the attributes of CloudEvents, and a `traceparent`.
    Full,
}

impl Metadata {
    /// Of a call, which has a time to live, as those of a bus have.
    fn call(self, id: u64) -> Result<BasicProperties, Failed> {
        match self {
            Self::Least => Ok(BasicProperties::default()),
            Self::Full => {
                let properties = self.properties(id)?.with_delivery_mode(1);
                Ok(properties.with_expiration("30000".into()))
            }
        }
    }

    /// Of the answer of a call, which is no event.
    fn answer(self) -> BasicProperties {
        let least = BasicProperties::default();
        match self {
            Self::Least => least,
            Self::Full => least.with_content_type("application/json".into()).with_delivery_mode(1),
        }
    }

    /// Whether it comes back if no queue wants it.
    fn options(self) -> BasicPublishOptions {
        BasicPublishOptions { mandatory: self == Self::Full, immediate: false }
    }

    /// Has calls and answers confirmed, as ours are.
    async fn confirms(self, channel: &Channel) -> Result<(), Failed> {
        match self {
            Self::Least => Ok(()),
            Self::Full => Ok(channel.confirm_select(ConfirmSelectOptions::default()).await?),
        }
    }

    fn properties(self, id: u64) -> Result<BasicProperties, Failed> {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2);
        if self == Self::Least {
            return Ok(properties);
        }
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let text = |text: String| AMQPValue::LongString(text.into());
        let mut headers = FieldTable::default();
        // As long as an id of a bus.
        headers.insert("cloudEvents_id".into(), text(format!("{:016x}-{id}", u64::MAX)));
        headers.insert("cloudEvents_source".into(), text("autobus-bench-amqp".to_owned()));
        headers.insert("cloudEvents_specversion".into(), text("1.0".to_owned()));
        // As long as a time in RFC 3339.
        headers.insert("cloudEvents_time".into(), text(format!("{:030}", time.as_nanos())));
        headers.insert("cloudEvents_type".into(), text(Site::KEY.to_owned()));
        headers.insert("traceparent".into(), text(format!("00-{id:032x}-{id:016x}-01")));
        Ok(properties.with_headers(headers))
    }
}

pub(crate) fn publish(
    site: &Site,
    metadata: Metadata,
    first: u64,
    warm: u64,
    n: u64,
) -> Result<Duration, Failed> {
    run(async {
        let (connection, channel) = connect(site).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let fire = async |ids: std::ops::Range<u64>| {
            let mut window = VecDeque::with_capacity(WINDOW);
            for id in ids {
                if window.len() == WINDOW
                    && let Some(confirm) = window.pop_front()
                {
                    confirmed(confirm).await?;
                }
                let body = serde_json::to_vec(&Order::new(id))?;
                let (exchange, key) = (Site::EXCHANGE.into(), Site::KEY.into());
                let options = metadata.options();
                let properties = metadata.properties(id)?;
                let sent = channel.basic_publish(exchange, key, options, &body, properties);
                window.push_back(sent.await?);
            }
            for confirm in window {
                confirmed(confirm).await?;
            }
            Ok::<_, Failed>(())
        };
        fire(first..first + warm).await?;
        let begun = Instant::now();
        fire(first + warm..first + n).await?;
        let took = begun.elapsed();
        connection.close(200, "OK".into()).await?;
        Ok(took)
    })
}

async fn confirmed_if(metadata: Metadata, confirm: PublisherConfirm) -> Result<(), Failed> {
    if metadata == Metadata::Full {
        confirmed(confirm).await?;
    }
    Ok(())
}

async fn confirmed(confirm: PublisherConfirm) -> Result<(), Failed> {
    match confirm.await? {
        Confirmation::Ack(None) => Ok(()),
        other => Err(format!("not confirmed: {other:?}").into()),
    }
}

async fn consumer(channel: &Channel, queue: &str, no_ack: bool) -> Result<Consumer, Failed> {
    let options = BasicConsumeOptions { no_ack, ..BasicConsumeOptions::default() };
    let (queue, tag) = (ShortString::from(queue), ShortString::default());
    Ok(channel.basic_consume(queue, tag, options, FieldTable::default()).await?)
}

pub(crate) fn consume(site: &Site, first: u64, n: u64) -> Result<Duration, Failed> {
    run(async {
        let (connection, channel) = connect(site).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let mut consumer = consumer(&channel, Site::QUEUE, false).await?;
        let meter = Meter::new();
        meter.reset(n);
        let mut open = 0;
        while let Some(delivery) = consumer.next().await {
            let delivery = delivery?;
            meter.add(&serde_json::from_slice(&delivery.data)?);
            open += 1;
            if open == BATCH || meter.is_full() {
                open = 0;
                channel
                    .basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: true })
                    .await?;
            }
            if meter.is_full() {
                break;
            }
        }
        let took = finished(&meter, first, n)?;
        connection.close(200, "OK".into()).await?;
        Ok(took)
    })
}

/// The server acknowledges what it has answered; with full metadata, what is confirmed too.
pub(crate) fn call(
    site: &Site,
    metadata: Metadata,
    first: u64,
    warm: u64,
    n: u64,
) -> Result<Duration, Failed> {
    std::thread::scope(|scope| {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let server = scope.spawn(move || run(serve(site, metadata, n, ready)));
        is_ready.recv().map_err(|_| "the server did not start")?;
        let took = run(calls(site, metadata, first, warm, n))?;
        server.join().map_err(|_| "the server panicked")??;
        Ok(took)
    })
}

async fn serve(
    site: &Site,
    metadata: Metadata,
    n: u64,
    ready: std::sync::mpsc::Sender<()>,
) -> Result<(), Failed> {
    let (connection, channel) = connect(site).await?;
    let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(SERVER.into(), options, FieldTable::default()).await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let mut consumer = consumer(&channel, SERVER, false).await?;
    metadata.confirms(&channel).await?;
    ready.send(())?;
    for _ in 0..n {
        let delivery = consumer.next().await.ok_or("the consumer ended")??;
        let number: u64 = serde_json::from_slice(&delivery.data)?;
        let body = serde_json::to_vec(&(2 * number))?;
        let properties = &delivery.properties;
        let (Some(to), Some(token)) = (properties.reply_to(), properties.correlation_id()) else {
            return Err("a call without a way back".into());
        };
        let properties = metadata.answer().with_correlation_id(token.clone());
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), to.clone(), options, &body, properties);
        confirmed_if(metadata, sent.await?).await?;
        channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await?;
    }
    connection.close(200, "OK".into()).await?;
    Ok(())
}

async fn calls(
    site: &Site,
    metadata: Metadata,
    first: u64,
    warm: u64,
    n: u64,
) -> Result<Duration, Failed> {
    let (connection, channel) = connect(site).await?;
    let mut replies = consumer(&channel, REPLIES, true).await?;
    metadata.confirms(&channel).await?;
    let mut call = async |ids: std::ops::Range<u64>| {
        for id in ids {
            let body = serde_json::to_vec(&id)?;
            let token = ShortString::try_new(id.to_string())?;
            let properties =
                metadata.call(id)?.with_reply_to(REPLIES.into()).with_correlation_id(token.clone());
            let options = metadata.options();
            let sent = channel.basic_publish("".into(), SERVER.into(), options, &body, properties);
            drop(sent.await?);
            let reply = replies.next().await.ok_or("the replies ended")??;
            let answer: u64 = serde_json::from_slice(&reply.data)?;
            if answer != 2 * id || *reply.properties.correlation_id() != Some(token) {
                return Err(Failed::from(format!("{answer} was answered to {id}")));
            }
        }
        Ok(())
    };
    call(first..first + warm).await?;
    let begun = Instant::now();
    call(first + warm..first + n).await?;
    let took = begun.elapsed();
    connection.close(200, "OK".into()).await?;
    Ok(took)
}
