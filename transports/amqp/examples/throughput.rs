//! Messages per second of the transport beside a minimal program on the same client, in turns.
//!
//! ```text
//! cargo run --release -p autobus-amqp --example throughput -- amqp://127.0.0.1:5672 20000 5
//! ```
//!
//! 256-byte bodies, persistent, confirmed with a window of 1,000; consumed with a prefetch of 1,000
//! and acknowledged each (the transport), or every 500 at once (the raw program).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use autobus_amqp::AmqpTransport;
use autobus_core::transport::{
    Binding, Envelope, Incoming, Options, Queue, Resolver, Settlement, Topology, Transport as _,
};
use autobus_core::{Clock, Error};
use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};

const WINDOW: usize = 1_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("the URL of a broker is missing")?;
    let count: usize = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    for kind in ["quorum", "classic"] {
        let name = format!("bench.{kind}");
        let queue = Queue::listener(&name, vec![Binding::new("bench", format!("{kind}.#"))]);
        let config = format!("{url}?queue_type={kind}").parse()?;
        let bus = AmqpTransport::connect(&config, &Options::new("bench", Clock::system()))?;
        wait(|done| bus.declare(Topology::new([], vec![queue.clone()]), done))?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (mut published, mut consumed) = (Vec::new(), Vec::new());
        let mut busy = [0.0; 4];
        for round in 0..rounds {
            let key = format!("{kind}.order.submit");
            let before = cpu();
            let raw = runtime.block_on(publish_raw(&url, &key, count))?;
            busy[0] += cpu() - before;
            // All of it: what is left over would be delivered to the bus again, one by one.
            let before = cpu();
            let raw_taken = runtime.block_on(consume_raw(&url, &name, count))?;
            busy[1] += cpu() - before;
            let before = cpu();
            let ours = publish(&bus, &key, count)?;
            busy[2] += cpu() - before;
            let before = cpu();
            let ours_taken = consume(&bus, &queue, count)?;
            busy[3] += cpu() - before;
            runtime.block_on(purge(&url, &name))?;
            println!(
                "{kind} {round}: publish raw {raw:.0}/s, bus {ours:.0}/s; consume raw {raw_taken:.0}/s, bus {ours_taken:.0}/s"
            );
            published.push(ours / raw);
            consumed.push(ours_taken / raw_taken);
        }
        println!(
            "{kind}: publish {:.2}, consume {:.2} of raw (median)",
            median(published),
            median(consumed)
        );
        let [raw, raw_taken, ours, ours_taken] = busy;
        println!(
            "{kind}: processor time of publishing {raw} raw, {ours} bus; of consuming {raw_taken} raw, {ours_taken} bus (hundredths of a second)"
        );
        println!("{kind}: call {:?}", call(&bus, 500)?);
        wait(|done| bus.close(Instant::now() + Duration::from_secs(10), done))?;
    }
    Ok(())
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

#[allow(clippy::cast_precision_loss, reason = "a rate is no exact number")]
fn rate(count: usize, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}

/// Processor time of this process so far, in hundredths of a second.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.split(' ').collect();
    let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    ticks(13) + ticks(14)
}

fn wait<T: Send + 'static>(ask: impl FnOnce(Resolver<T>)) -> Result<T, Error> {
    let (resolver, completion) = Resolver::pair();
    ask(resolver);
    completion.wait(None).map(|answer| answer.expect("no deadline"))
}

fn body() -> Vec<u8> {
    format!("{{\"id\":7,\"note\":\"{}\"}}", "x".repeat(236)).into_bytes()
}

fn publish(bus: &Arc<AmqpTransport>, key: &str, count: usize) -> Result<f64, Error> {
    let began = Instant::now();
    let (sender, confirms) = channel();
    let mut open = 0;
    for n in 0..count {
        let mut message = Envelope::new("bench", key, body());
        message.id = n.to_string();
        message.content_type = Some(Envelope::JSON.to_owned());
        let sender = sender.clone();
        bus.publish(message, Resolver::new(move |confirm| drop(sender.send(confirm))));
        open += 1;
        while open >= WINDOW {
            confirms.recv().expect("a confirm")?;
            open -= 1;
        }
    }
    for _ in 0..open {
        confirms.recv().expect("a confirm")?;
    }
    Ok(rate(count, began))
}

fn consume(bus: &Arc<AmqpTransport>, queue: &Queue, count: usize) -> Result<f64, Error> {
    let began = Instant::now();
    let (sender, deliveries) = channel::<Incoming>();
    let sink = Arc::new(move |incoming| drop(sender.send(incoming)));
    let subscription = wait(|done| bus.consume(queue, 1_000, sink, done))?;
    for _ in 0..count {
        deliveries.recv().expect("a delivery").acker.settle(Settlement::Ack);
    }
    let rate = rate(count, began);
    drop(subscription);
    Ok(rate)
}

fn call(bus: &Arc<AmqpTransport>, count: u32) -> Result<Duration, Error> {
    let sink = Arc::new(|incoming: Incoming| {
        let answer = Envelope::new("", "echo", incoming.message.body.clone());
        incoming.acker.settle(Settlement::Reply(Box::new(answer)));
    });
    let subscription = wait(|done| bus.serve("echo", 16, sink, done))?;
    let began = Instant::now();
    for _ in 0..count {
        let (resolver, answer) = Resolver::pair();
        bus.call("echo", Envelope::new("", "echo", body()), Duration::from_secs(10), resolver);
        answer.wait(None).map_err(|error| Error::transport(format!("{error:?}")))?;
    }
    drop(subscription);
    Ok(began.elapsed() / count)
}

async fn connected(url: &str) -> lapin::Result<Connection> {
    let uri = format!("{}/%2f", url.trim_end_matches("/%2f").trim_end_matches('/'));
    Connection::connect(&uri, ConnectionProperties::default()).await
}

async fn publish_raw(url: &str, key: &str, count: usize) -> lapin::Result<f64> {
    let connection = connected(url).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let began = Instant::now();
    let (mut confirms, text) = (VecDeque::new(), body());
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    for n in 0..count {
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(n.to_string().into())
            .with_content_type("application/json".into());
        let confirm = channel.basic_publish("bench".into(), key.into(), options, &text, properties);
        confirms.push_back(confirm.await?);
        if confirms.len() >= WINDOW {
            confirms.pop_front().expect("one").await?;
        }
    }
    for confirm in confirms {
        confirm.await?;
    }
    let rate = rate(count, began);
    // Its channel may be closing already.
    let _ = connection.close(200, "OK".into()).await;
    Ok(rate)
}

async fn consume_raw(url: &str, queue: &str, count: usize) -> lapin::Result<f64> {
    let connection = connected(url).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(1_000, BasicQosOptions::default()).await?;
    let began = Instant::now();
    let options = BasicConsumeOptions::default();
    let mut consumer =
        channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
    for n in 1..=count {
        let delivery = consumer.next().await.expect("a delivery")?;
        if n % 500 == 0 || n == count {
            delivery.ack(BasicAckOptions { multiple: true }).await?;
        }
    }
    let rate = rate(count, began);
    // Its channel may be closing already.
    let _ = connection.close(200, "OK".into()).await;
    Ok(rate)
}

async fn purge(url: &str, queue: &str) -> lapin::Result<()> {
    let connection = connected(url).await?;
    let channel = connection.create_channel().await?;
    channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await?;
    // Its channel may be closing already.
    let _ = connection.close(200, "OK".into()).await;
    Ok(())
}
